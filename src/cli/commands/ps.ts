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
import { matches, readFilter } from "../filter.ts"
import { ago, healthText, shown, table } from "../table.ts"
import { PS_OPTIONS } from "./ps-options.ts"

function statusText({ status, exitCode, finished, oomKilled, health }: Summary): string {
  if (status !== "exited") return `${status}${healthText(health)}`
  return `exited (${exitCode}${oomKilled ? ", out of memory" : ""}) ${finished ? ago(finished) : ""}`.trimEnd()
}

function numberOf(text: string | undefined): number | null {
  if (text === undefined || text === "-1") return null
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--last: "${text}" is no number`)
  return Number(text)
}

export async function psCommand(words: readonly string[]): Promise<number> {
  const { booleans, lists, strings, rest } = parseArgv(words, PS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("ps")
  if (rest.length > 0) throw new UsageError(`ps takes no arguments, but got "${rest[0]}"`)
  const filters = (lists.get("filter") ?? []).map(readFilter)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  removeAbandonedLayers(paths)
  const last = booleans.get("latest") ? 1 : numberOf(strings.get("last"))
  // As docker has it: who asks for a state, or for the last ones, means those that have ended, too.
  const all = booleans.get("all") || last !== null || filters.some(({ key }) => key === "status" || key === "exited")
  const shows = !booleans.get("quiet") || filters.some(({ key }) => key === "status")
  const found = listContainers(paths, all ?? false, shows).filter((summary) => matches(summary, filters))
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
    const anyPorts = containers.some((summary) => summary.ports !== undefined)
    const rows = containers.map((summary) => {
      const command = shown(summary.command.join(" "))
      const cut = full || command.length <= 30 ? command : `${command.slice(0, 29)}…`
      const ports = anyPorts ? [summary.ports ?? ""] : []
      const size = sizes ? [formatBytes(writtenBytes(paths, summary.id))] : []
      return [
        id(summary),
        shown(summary.image),
        cut,
        ago(summary.created),
        statusText(summary),
        ...ports,
        ...size,
        summary.name,
      ]
    })
    const head = [
      "CONTAINER ID",
      "ROOT",
      "COMMAND",
      "CREATED",
      "STATUS",
      ...(anyPorts ? ["PORTS"] : []),
      ...(sizes ? ["SIZE"] : []),
      "NAME",
    ]
    lines.push(table([head, ...rows]))
  }
  print(lines)
  return 0
}
