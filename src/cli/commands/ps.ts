/** toybox ps. */
import { listContainers, type Summary } from "../../container/list.ts"
import { writtenBytes } from "../../container/observe/size.ts"
import { EXIT_UNREAD, UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { formatBytes } from "../../image/progress.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { type SortKeys, sorted } from "../sort.ts"
import { ago, commandText, dockerStatus, listFormat, printTable, shown } from "../table.ts"
import { PS_OPTIONS } from "./ps-options.ts"

const HEAD = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]

function numberOf(text: string | undefined): number | null {
  if (text === undefined || text === "-1") return null
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--last: "${text}" is no number`)
  return Number(text)
}

const sortKeys = (paths: Paths): SortKeys<Summary> => ({
  command: { of: ({ command }) => command.join(" ") },
  created: { of: ({ created }) => created, newest: true },
  id: { of: ({ id }) => id },
  image: { of: ({ image }) => image },
  names: { of: ({ name }) => name },
  runningfor: { of: ({ started = "" }) => started, newest: true },
  size: { of: ({ id }) => writtenBytes(paths, id) },
  status: { of: ({ status }) => status },
})

function seconds(text: string): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (value === 0) throw new UsageError(`--watch: "${text}" is no number of seconds`)
  return value
}

export async function psCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, PS_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("ps")
  if (rest.length > 0) throw new UsageError(`ps takes no arguments, but got "${rest[0]}"`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  removeAbandonedLayers(paths)
  const watch = strings.get("watch")
  if (watch === undefined) {
    await list(paths, argv)
    return 0
  }
  for (const pause = seconds(watch) * 1000; ; await Bun.sleep(pause)) {
    if (process.stdout.isTTY) print(["\x1b[2J\x1b[H"])
    if (!(await list(paths, argv))) return EXIT_UNREAD
  }
}

/** Prints the list; false as of print. */
async function list(paths: Paths, { booleans, lists, strings }: ParsedArgv): Promise<boolean> {
  const last = booleans.get("latest") ? 1 : numberOf(strings.get("last"))
  const filters = lists.get("filter") ?? []
  const isMeant = filters.length > 0 ? (await import("../filter.ts")).containerFilter(paths, filters) : () => true
  const asksFor = (...keys: string[]) => keys.some((key) => filters.some((filter) => filter.startsWith(`${key}=`)))
  // As docker has it: who asks for a state, or for the last ones, means those that have ended, too.
  const all = booleans.get("all") || last !== null || asksFor("status", "exited")
  const found = listContainers(paths, all, !booleans.get("quiet") || asksFor("status")).filter(isMeant)
  const chosen = last === null ? found : found.slice(0, last)
  const containers = sorted(chosen, strings.get("sort"), sortKeys(paths))
  const titled = !booleans.get("noheading")
  const full = booleans.get("no-trunc") ?? false
  const sizes = booleans.get("size") ?? false
  const id = (summary: Summary) => (full ? summary.id : summary.id.slice(0, 12))
  const format = listFormat(strings.get("format"))
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
    return printFormatted(format, fields, CONTAINER_TITLES, titled)
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
    return printTable([...(titled ? [[...HEAD, ...(sizes ? ["SIZE"] : [])]] : []), ...rows])
  }
  return print(lines)
}
