/** toybox oci state. */
import { ociState, readRecord, statusOf } from "../../container/oci/state.ts"
import { print } from "../../log.ts"
import { parseArgv } from "../argv.ts"
import { type OciContext, onlyId } from "./context.ts"
import { PLAIN_OPTIONS } from "./options.ts"

export async function stateCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const { booleans, rest } = parseArgv(words, PLAIN_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("state")
  const record = readRecord(root, onlyId("state", rest))
  print([JSON.stringify(ociState(record, statusOf(root, record)), null, 2)])
  return 0
}
