/** toybox oci ps. */
import { tryReadText } from "../../../ffi/fs.ts"
import { cgroupOf } from "../../container/oci/kill.ts"
import { readRecord } from "../../container/oci/state.ts"
import { UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { parseLeading } from "../argv.ts"
import { table } from "../table.ts"
import type { OciContext } from "./context.ts"
import { PS_OPTIONS } from "./options.ts"

/** What a process shows of itself; null where it has ended meanwhile. What it says must not speak to the terminal. */
function row(pid: number): string[] | null {
  const status = tryReadText(`/proc/${pid}/status`)
  const command = tryReadText(`/proc/${pid}/cmdline`)
  if (status === null || command === null) return null
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? ""
  const shown = command === "" ? `[${field("Name")}]` : command.replaceAll("\0", " ").trimEnd()
  return [field("Uid"), String(pid), field("PPid"), shown.replace(/\p{Cc}/gu, "?")]
}

export async function psCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const { strings, booleans, rest } = parseLeading(words, PS_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("ps")
  const [id] = rest
  if (id === undefined) throw new UsageError("ps needs the id of a container")
  const format = strings.get("format") ?? "table"
  if (format !== "table" && format !== "json")
    throw new UsageError(`--format: "${format}" is not known (use table or json)`)
  const pids = cgroupOf(readRecord(root, id)).pids()
  if (format === "json") print([JSON.stringify(pids)])
  else print([table([["UID", "PID", "PPID", "CMD"], ...pids.flatMap((pid) => [row(pid) ?? []])])])
  return 0
}
