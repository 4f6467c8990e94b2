/** toybox oci list. */
import { listRecords, ociState, statusOf } from "../../container/oci/state.ts"
import { UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { parseArgv } from "../argv.ts"
import { table } from "../table.ts"
import type { OciContext } from "./context.ts"
import { LIST_OPTIONS } from "./options.ts"

export async function listCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const { strings, booleans, rest } = parseArgv(words, LIST_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("list")
  if (rest.length > 0) throw new UsageError(`list takes no arguments, but got "${rest[0]}"`)
  const format = strings.get("format") ?? "table"
  if (format !== "table" && format !== "json")
    throw new UsageError(`--format: "${format}" is not known (use table or json)`)
  const states = listRecords(root).map((record) => ociState(record, statusOf(root, record)))
  if (booleans.get("quiet")) print(states.map(({ id }) => id))
  else if (format === "json") print([JSON.stringify(states)])
  else {
    const rows = states.map(({ id, pid, status, bundle, created, owner }) => [
      id,
      String(pid),
      status,
      bundle,
      created,
      owner,
    ])
    print([table([["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], ...rows])])
  }
  return 0
}
