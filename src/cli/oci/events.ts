/** toybox oci events. */
import { readContainerStats, readOomKills, statsEvent, UNLIMITED } from "../../container/oci/events.ts"
import { isAlive, readRecord, statusOf } from "../../container/oci/state.ts"
import { EXIT_UNREAD, ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { parseArgv } from "../argv.ts"
import { parseDuration } from "../duration.ts"
import { type OciContext, onlyId } from "./context.ts"
import { EVENTS_OPTIONS } from "./options.ts"

/** A duration such as 5s, in milliseconds. */
function interval(text: string): number {
  const milliseconds = parseDuration(text)
  if (milliseconds !== null && milliseconds > 0) return milliseconds
  throw new UsageError(`--interval: "${text}" is not a duration`, { hint: "use 5s, 500ms or 1m" })
}

// A container that runs out of memory is not made to wait for the next report.
const OOM_PAUSE = 100

export async function eventsCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const { strings, booleans, rest } = parseArgv(words, EVENTS_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("events")
  const record = readRecord(root, onlyId("events", rest))
  if (statusOf(root, record) === "stopped") throw new ToyboxError(`container not running: ${record.id}`)
  const pause = interval(strings.get("interval") ?? "5s")
  // The number of no limit, which JavaScript shows rounded.
  const tell = (event: unknown) =>
    print([JSON.stringify(event).replaceAll(String(UNLIMITED), String(BigInt(UNLIMITED)))])
  if (booleans.get("stats")) {
    tell(statsEvent(record.id, readContainerStats(record)))
    return 0
  }
  let kills = readOomKills(record)
  let isRead = true
  for (let next = performance.now() + pause; isRead && isAlive(record); await Bun.sleep(Math.min(OOM_PAUSE, pause))) {
    const now = readOomKills(record)
    for (; kills < now; kills++) isRead &&= tell({ type: "oom", id: record.id })
    if (performance.now() < next) continue
    isRead &&= tell(statsEvent(record.id, readContainerStats(record)))
    next += pause
  }
  return isRead ? 0 : EXIT_UNREAD
}
