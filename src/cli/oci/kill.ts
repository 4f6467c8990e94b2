/** toybox oci kill. */
import { killContainer, parseSignal } from "../../container/oci/kill.ts"
import { readRecord, statusOf } from "../../container/oci/state.ts"
import { UsageError } from "../../errors.ts"
import { parseArgv } from "../argv.ts"
import { eachMatching, type OciContext } from "./context.ts"
import { KILL_OPTIONS } from "./options.ts"

export async function killCommand(words: readonly string[], context: OciContext): Promise<number> {
  const { booleans, rest } = parseArgv(words, KILL_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("kill")
  const [id, signal = "TERM", more] = rest
  if (id === undefined) throw new UsageError("kill needs the id of a container")
  if (more !== undefined) throw new UsageError(`kill takes a container and a signal, but got "${more}", too`)
  const { root } = context
  const [all = false, regex = false] = [booleans.get("all"), booleans.get("regex")]
  const number = parseSignal(signal)
  return eachMatching(context, id, regex, (each) => {
    // Of many those that have ended are none to be told of.
    if (regex && !all && statusOf(root, readRecord(root, each)) === "stopped") return
    killContainer(root, each, number, all)
  })
}
