/** toybox oci kill. */
import { killContainer, parseSignal } from "../../container/oci/kill.ts"
import { UsageError } from "../../errors.ts"
import { parseArgv } from "../argv.ts"
import { matchingIds, type OciContext } from "./context.ts"
import { KILL_OPTIONS } from "./options.ts"

export async function killCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const { booleans, rest } = parseArgv(words, KILL_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("kill")
  const [id, signal = "TERM", more] = rest
  if (id === undefined) throw new UsageError("kill needs the id of a container")
  if (more !== undefined) throw new UsageError(`kill takes a container and a signal, but got "${more}", too`)
  for (const each of await matchingIds(root, id, booleans.get("regex"))) {
    killContainer(root, each, parseSignal(signal), booleans.get("all") ?? false)
  }
  return 0
}
