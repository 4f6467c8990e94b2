/** toybox ps. */
import { listContainers, type Summary } from "../../container/list.ts"
import { writtenBytes } from "../../container/observe/size.ts"
import { UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { formatBytes } from "../../image/progress.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { ago, commandText, dockerStatus, shown, table } from "../table.ts"
import { PS_OPTIONS } from "./ps-options.ts"

const HEAD = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]

function numberOf(text: string | undefined): number | null {
  if (text === undefined || text === "-1") return null
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--last: "${text}" is no number`)
  return Number(text)
}

export async function psCommand(words: readonly string[]): Promise<number> {
  const { booleans, lists, strings, rest } = parseArgv(words, PS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("ps")
  if (rest.length > 0) throw new UsageError(`ps takes no arguments, but got "${rest[0]}"`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  removeAbandonedLayers(paths)
  const last = booleans.get("latest") ? 1 : numberOf(strings.get("last"))
  const filters = lists.get("filter") ?? []
  const isMeant = filters.length > 0 ? (await import("../filter.ts")).containerFilter(paths, filters) : () => true
  const asksFor = (...keys: string[]) => keys.some((key) => filters.some((filter) => filter.startsWith(`${key}=`)))
  // As docker has it: who asks for a state, or for the last ones, means those that have ended, too.
  const all = booleans.get("all") || last !== null || asksFor("status", "exited")
  const found = listContainers(paths, all, !booleans.get("quiet") || asksFor("status")).filter(isMeant)
  const containers = last === null ? found : found.slice(0, last)
  const full = booleans.get("no-trunc") ?? false
  const sizes = booleans.get("size") ?? false
  const id = (summary: Summary) => (full ? summary.id : summary.id.slice(0, 12))
  const format = strings.get("format")
  const lines: string[] = []
  if (booleans.get("json")) {
    const sized = (summary: Summary) => ({ ...summary, ...(sizes ? { size: writtenBytes(paths, summary.id) } : {}) })
    lines.push(...containers.map((summary) => JSON.stringify(sized(summary))))
  } else if (booleans.get("quiet")) lines.push(...containers.map(id))
  else if (format !== undefined) {
    const { CONTAINER_TITLES, containerFields } = await import("../docker-fields.ts")
    const { mentions, parseTemplate, printFormatted } = await import("../template.ts")
    const options = { full, sizes: sizes || mentions(parseTemplate(format), "Size") }
    const fields = containers.map((summary) => containerFields(paths, summary, options))
    printFormatted(format, fields, CONTAINER_TITLES)
    return 0
  } else {
    const rows = containers.map((summary) => [
      id(summary),
      shown(summary.image),
      commandText(summary.command, full),
      ago(summary.created),
      dockerStatus(summary),
      summary.ports ?? "",
      summary.name,
      ...(sizes ? [formatBytes(writtenBytes(paths, summary.id))] : []),
    ])
    lines.push(table([[...HEAD, ...(sizes ? ["SIZE"] : [])], ...rows]))
  }
  print(lines)
  return 0
}
