/** toybox oci run. */
import { runContainer } from "../../container/oci/run.ts"
import { takeSignals } from "../../container/supervise.ts"
import { parseArgv } from "../argv.ts"
import { type OciContext, onlyId } from "./context.ts"
import { createRequest } from "./create-request.ts"
import { RUN_OPTIONS } from "./options.ts"

export async function runCommand(words: readonly string[], context: OciContext): Promise<number> {
  const argv = parseArgv(words, RUN_OPTIONS)
  const { booleans } = argv
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("run")
  const request = createRequest(argv, context, onlyId("run", argv.rest))
  const options = { detach: booleans.get("detach") ?? false, keep: booleans.get("keep") ?? false }
  return runContainer(request, options, takeSignals())
}
