/** toybox stats. */
import {
  machineMemory,
  NO_USAGE,
  type Sample,
  sparkline,
  takeSample,
  type Usage,
  usageBetween,
} from "../../container/observe/sample.ts"
import { recover } from "../../container/recover.ts"
import { allIds, isAlive, readHead, readRunning, resolveId, runningIds } from "../../container/state.ts"
import { EXIT_UNREAD, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { withLatest } from "../chosen.ts"
import { binarySize, decimalSize } from "../sizes.ts"
import { listFormat, table } from "../table.ts"
import { parseTemplate, printFormatted } from "../template.ts"
import { STATS_OPTIONS } from "./observe-options.ts"

interface Watched {
  name: string
  /** Null of one that does not run. */
  sample: Sample | null
  /** CPU percentages, the newest last. */
  history: number[]
  usage: Usage
}

const HISTORY = 20

const percent = (value: number | null, digits: number) => (value === null ? "-" : `${value.toFixed(digits)}%`)
const bytes = (value: number | null, format: (bytes: number) => string) => (value === null ? "-" : format(value))
const count = (value: number | null) => (value === null ? "-" : String(value))
const HEAD = ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]
// docker has none of these.
const MORE = ["THROTTLED", "PRESSURE CPU/MEM/IO"]

/** docker's columns. */
function rowOf(id: string, { name, usage }: Watched, full: boolean): string[] {
  return [
    full ? id : id.slice(0, 12),
    name,
    percent(usage.cpuPercent, 2),
    `${bytes(usage.memoryBytes, binarySize)} / ${binarySize(usage.memoryLimitBytes ?? machineMemory())}`,
    percent(usage.memoryPercent, 2),
    `${decimalSize(usage.netReadBytes)} / ${decimalSize(usage.netWriteBytes)}`,
    `${bytes(usage.blockReadBytes, decimalSize)} / ${bytes(usage.blockWriteBytes, decimalSize)}`,
    count(usage.pids),
  ]
}

function moreOf({ usage, history }: Watched, live: boolean): string[] {
  const { cpu, memory, io } = usage.pressure
  return [
    percent(usage.throttledPercent, 1),
    [cpu, memory, io].map((pressure) => percent(pressure?.someAvg10 ?? null, 1)).join(" "),
    ...(live ? [sparkline(history, 100)] : []),
  ]
}

/** What one uses that does not run. */
const NOTHING = { sample: null, history: [], usage: NO_USAGE }

/** Looks at each container once more; those that have ended go, unless `all` are to be seen. */
function look(paths: Paths, ids: readonly string[], watched: Map<string, Watched>, all: boolean): void {
  for (const id of watched.keys()) if (!ids.includes(id)) watched.delete(id)
  for (const id of ids) {
    const running = readRunning(paths, id)
    const sample = running && isAlive(running) ? takeSample(running) : null
    const name = readHead(paths, id)?.name ?? running?.name
    if (sample === null || name === undefined) {
      if (all && name !== undefined) watched.set(id, { name, ...NOTHING })
      else watched.delete(id)
      continue
    }
    const before = watched.get(id)
    const usage = usageBetween(before?.sample ?? sample, sample)
    const history = [...(before?.history ?? []), ...(before ? [usage.cpuPercent ?? 0] : [])].slice(-HISTORY)
    watched.set(id, { name, sample, history, usage })
  }
}

/** As docker's stats --format can name it. */
function fieldsOf(id: string, watched: Watched, full: boolean): object {
  const [ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs] = rowOf(id, watched, full)
  return { BlockIO, CPUPerc, Container: ID, ID, MemPerc, MemUsage, Name, NetIO, PIDs }
}

const TITLES = {
  BlockIO: "BLOCK I/O",
  CPUPerc: "CPU %",
  Container: "CONTAINER",
  ID: "CONTAINER ID",
  MemPerc: "MEM %",
  MemUsage: "MEM USAGE / LIMIT",
  NetIO: "NET I/O",
}

/** Prints the table, or the lines; false as of print. */
function show(watched: ReadonlyMap<string, Watched>, json: boolean, live: boolean, full: boolean): boolean {
  if (json) return print([...watched].map(([id, { name, usage }]) => JSON.stringify({ id, name, ...usage })))
  const head = [...HEAD, ...MORE, ...(live ? ["CPU HISTORY"] : [])]
  const text = table([head, ...[...watched].map(([id, one]) => [...rowOf(id, one, full), ...moreOf(one, live)])])
  if (!live) return print([text])
  const width = process.stdout.columns ?? 80
  const lines = text.split("\n").map((line) => line.slice(0, width))
  // From the top left corner; what is left of the last table goes.
  return print([`\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\n")}\x1b[J`])
}

function seconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0
  if (value >= 0.1 && value <= 3600) return value
  throw new UsageError(`--interval: "${text}" is not a number of seconds from 0.1 to 3600`)
}

export async function statsCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, STATS_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("stats")
  const pause = seconds(strings.get("interval") ?? "1") * 1000
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recover(paths)
  const { rest } = withLatest(paths, argv)
  const chosen = rest.map((reference) => resolveId(paths, reference))
  const areChosen = rest.length > 0
  const all = areChosen || (booleans.get("all") ?? false)
  const full = booleans.get("no-trunc") ?? false
  const ids = () => (areChosen ? chosen : all ? allIds(paths) : runningIds(paths))
  const json = booleans.get("json") ?? false
  const once = booleans.get("no-stream") ?? false
  const format = listFormat(strings.get("format"))
  if (format !== undefined) parseTemplate(format)
  const live = !json && !once && format === undefined && process.stdout.isTTY
  const watched = new Map<string, Watched>()
  look(paths, ids(), watched, all)
  if (live) print(["\x1b[2J\x1b[H"])
  for (;;) {
    await Bun.sleep(pause)
    look(paths, ids(), watched, all)
    const fields = () => [...watched].map(([id, one]) => fieldsOf(id, one, full))
    const isRead = format === undefined ? show(watched, json, live, full) : printFormatted(format, fields(), TITLES)
    const isOver = areChosen && [...watched.values()].every(({ sample }) => sample === null)
    if (once || isOver) return 0
    if (!isRead) return EXIT_UNREAD
  }
}
