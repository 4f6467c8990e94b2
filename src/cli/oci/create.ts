/** toybox oci create. */
import { createContainer } from "../../container/oci/create.ts"
import { unlock } from "../../container/oci/state.ts"
import { parseArgv } from "../argv.ts"
import { type OciContext, onlyId } from "./context.ts"
import { createRequest } from "./create-request.ts"
import { CREATE_OPTIONS } from "./options.ts"

export async function createCommand(words: readonly string[], context: OciContext): Promise<number> {
  const argv = parseArgv(words, CREATE_OPTIONS)
  if (argv.booleans.get("help")) return (await import("./usage.ts")).printOciUsage("create")
  const { lock } = await createContainer(createRequest(argv, context, onlyId("create", argv.rest)))
  unlock(lock)
  return 0
}
