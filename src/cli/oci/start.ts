/** toybox oci start. */
import { startContainer } from "../../container/oci/start.ts"
import { parseArgv } from "../argv.ts"
import { type OciContext, onlyId } from "./context.ts"
import { PLAIN_OPTIONS } from "./options.ts"

export async function startCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const { booleans, rest } = parseArgv(words, PLAIN_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("start")
  await startContainer(root, onlyId("start", rest))
  return 0
}
