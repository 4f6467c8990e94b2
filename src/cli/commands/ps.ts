/** toybox ps. */
import { listContainers, type Summary } from "../../container/list.ts"
import { UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { PS_OPTIONS } from "./ps-options.ts"

const SPANS: readonly (readonly [number, string])[] = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
]

function ago(iso: string): string {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(iso)) / 1000))
  const [span, word] = SPANS.find(([span]) => seconds >= span) ?? [1, "second"]
  const count = Math.floor(seconds / span)
  return `${count} ${word}${count === 1 ? "" : "s"} ago`
}

function status({ status, exitCode, finished, oomKilled }: Summary): string {
  if (status === "running") return "running"
  return `exited (${exitCode}${oomKilled ? ", out of memory" : ""}) ${finished ? ago(finished) : ""}`.trimEnd()
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n")
}

// What comes from a container must not speak to the terminal.
const shown = (text: string) => text.replace(/\p{Cc}/gu, "?")

export async function psCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, PS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("ps")
  if (rest.length > 0) throw new UsageError(`ps takes no arguments, but got "${rest[0]}"`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  const containers = listContainers(paths, booleans.get("all") ?? false)
  const full = booleans.get("no-trunc") ?? false
  const id = (summary: Summary) => (full ? summary.id : summary.id.slice(0, 12))
  const lines: string[] = []
  if (booleans.get("json")) lines.push(...containers.map((summary) => JSON.stringify(summary)))
  else if (booleans.get("quiet")) lines.push(...containers.map(id))
  else {
    const rows = containers.map((summary) => {
      const command = shown(summary.command.join(" "))
      const cut = full || command.length <= 30 ? command : `${command.slice(0, 29)}…`
      return [id(summary), shown(summary.image), cut, ago(summary.created), status(summary), summary.name]
    })
    lines.push(table([["CONTAINER ID", "ROOT", "COMMAND", "CREATED", "STATUS", "NAME"], ...rows]))
  }
  print(lines)
  return 0
}
