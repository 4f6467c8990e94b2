/** toybox ps. */
import { listContainers, type Summary } from "../../container/list.ts"
import { UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { matches, readFilter } from "../filter.ts"
import { ago, shown, table } from "../table.ts"
import { PS_OPTIONS } from "./ps-options.ts"

function statusText({ status, exitCode, finished, oomKilled }: Summary): string {
  if (status !== "exited") return status
  return `exited (${exitCode}${oomKilled ? ", out of memory" : ""}) ${finished ? ago(finished) : ""}`.trimEnd()
}

export async function psCommand(words: readonly string[]): Promise<number> {
  const { booleans, lists, strings, rest } = parseArgv(words, PS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("ps")
  if (rest.length > 0) throw new UsageError(`ps takes no arguments, but got "${rest[0]}"`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  removeAbandonedLayers(paths)
  const filters = (lists.get("filter") ?? []).map(readFilter)
  // As docker has it: who asks for a state means those that have ended, too.
  const all = booleans.get("all") || filters.some(({ key }) => key === "status" || key === "exited")
  const containers = listContainers(paths, all ?? false).filter((summary) => matches(summary, filters))
  const full = booleans.get("no-trunc") ?? false
  const id = (summary: Summary) => (full ? summary.id : summary.id.slice(0, 12))
  const lines: string[] = []
  if (booleans.get("json")) lines.push(...containers.map((summary) => JSON.stringify(summary)))
  else if (booleans.get("quiet")) lines.push(...containers.map(id))
  else {
    const rows = containers.map((summary) => {
      const command = shown(summary.command.join(" "))
      const cut = full || command.length <= 30 ? command : `${command.slice(0, 29)}…`
      return [id(summary), shown(summary.image), cut, ago(summary.created), statusText(summary), summary.name]
    })
    lines.push(table([["CONTAINER ID", "ROOT", "COMMAND", "CREATED", "STATUS", "NAME"], ...rows]))
  }
  print(lines)
  return 0
}
