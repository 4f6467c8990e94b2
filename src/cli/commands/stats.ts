/** toybox stats. */
import { type Sample, sparkline, takeSample, type Usage, usageBetween } from "../../container/observe/sample.ts"
import { recover } from "../../container/recover.ts"
import { findRunning } from "../../container/running.ts"
import { isAlive, readRunning, runningIds } from "../../container/state.ts"
import { UsageError } from "../../errors.ts"
import { formatBytes } from "../../image/progress.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { table } from "../table.ts"
import { parseTemplate, printFormatted } from "../template.ts"
import { STATS_OPTIONS } from "./observe-options.ts"

interface Watched {
  name: string
  sample: Sample
  /** CPU percentages, the newest last. */
  history: number[]
  usage: Usage
}

const HISTORY = 20

const percent = (value: number | null) => (value === null ? "-" : `${value.toFixed(1)}%`)
const bytes = (value: number | null) => (value === null ? "-" : formatBytes(value))
const count = (value: number | null) => (value === null ? "-" : String(value))
const HEAD = "ID,NAME,CPU,MEMORY / LIMIT,MEM,PIDS,NET I/O,BLOCK I/O,THROTTLED,PRESSURE CPU/MEM/IO".split(",")

function rowOf(id: string, { name, usage, history }: Watched, live: boolean): string[] {
  const { cpu, memory, io } = usage.pressure
  return [
    id.slice(0, 12),
    name,
    percent(usage.cpuPercent),
    `${bytes(usage.memoryBytes)} / ${usage.memoryLimitBytes === null ? "none" : bytes(usage.memoryLimitBytes)}`,
    percent(usage.memoryPercent),
    count(usage.pids),
    `${bytes(usage.netReadBytes)} / ${bytes(usage.netWriteBytes)}`,
    `${bytes(usage.blockReadBytes)} / ${bytes(usage.blockWriteBytes)}`,
    percent(usage.throttledPercent),
    [cpu, memory, io].map((pressure) => percent(pressure?.someAvg10 ?? null)).join(" "),
    ...(live ? [sparkline(history, 100)] : []),
  ]
}

/** Looks at each container once more; those that have ended go. */
function look(paths: Paths, ids: readonly string[], watched: Map<string, Watched>): void {
  for (const id of watched.keys()) if (!ids.includes(id)) watched.delete(id)
  for (const id of ids) {
    const running = readRunning(paths, id)
    const sample = running && isAlive(running) ? takeSample(running) : null
    if (running === null || sample === null) {
      watched.delete(id)
      continue
    }
    const before = watched.get(id)
    const usage = usageBetween(before?.sample ?? sample, sample)
    const history = [...(before?.history ?? []), ...(before ? [usage.cpuPercent ?? 0] : [])].slice(-HISTORY)
    watched.set(id, { name: running.name, sample, history, usage })
  }
}

/** As docker's stats --format can name it. */
function fieldsOf(id: string, watched: Watched): object {
  const [short, Name, CPUPerc, MemUsage, MemPerc, PIDs, NetIO, BlockIO] = rowOf(id, watched, false)
  return { BlockIO, CPUPerc, Container: short, ID: short, MemPerc, MemUsage, Name, NetIO, PIDs }
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

function show(watched: ReadonlyMap<string, Watched>, json: boolean, live: boolean): void {
  if (json) {
    print([...watched].map(([id, { name, usage }]) => JSON.stringify({ id, name, ...usage })))
    return
  }
  const head = [...HEAD, ...(live ? ["CPU HISTORY"] : [])]
  const text = table([head, ...[...watched].map(([id, one]) => rowOf(id, one, live))])
  if (!live) {
    print([text])
    return
  }
  const width = process.stdout.columns ?? 80
  const lines = text.split("\n").map((line) => line.slice(0, width))
  // From the top left corner; what is left of the last table goes.
  print([`\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\n")}\x1b[J`])
}

function seconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0
  if (value >= 0.1 && value <= 3600) return value
  throw new UsageError(`--interval: "${text}" is not a number of seconds from 0.1 to 3600`)
}

export async function statsCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, STATS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("stats")
  const pause = seconds(strings.get("interval") ?? "1") * 1000
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recover(paths)
  const chosen = rest.map((reference) => findRunning(paths, reference).id)
  const ids = () => (rest.length > 0 ? chosen : runningIds(paths))
  const json = booleans.get("json") ?? false
  const once = booleans.get("no-stream") ?? false
  const format = strings.get("format")
  if (format !== undefined) parseTemplate(format)
  const live = !json && !once && format === undefined && process.stdout.isTTY
  const watched = new Map<string, Watched>()
  look(paths, ids(), watched)
  if (live) print(["\x1b[2J\x1b[H"])
  for (;;) {
    await Bun.sleep(pause)
    look(paths, ids(), watched)
    if (format === undefined) show(watched, json, live)
    else {
      const fields = [...watched].map(([id, one]) => fieldsOf(id, one))
      printFormatted(format, fields, TITLES)
    }
    // Those that were asked for have all ended.
    if (once || (rest.length > 0 && watched.size === 0)) return 0
  }
}
