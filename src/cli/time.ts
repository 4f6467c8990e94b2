/** Times as docker's options have them. */
import { UsageError } from "../errors.ts"
import { parseDuration } from "./duration.ts"

// With a zone, or without one, which is that of this machine; a day alone may have one, too.
const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.(\d{1,9}))?)?))?(Z|[+-]\d{2}:\d{2})?$/
const SECONDS = /^(\d+)(?:\.(\d+))?$/

/** A moment: milliseconds since 1970, and where its nanoseconds are known the digits behind the seconds. */
interface Moment {
  milliseconds: number
  fraction?: string | undefined
}

function momentOf(text: string, now: number): Moment {
  const [, seconds, part] = SECONDS.exec(text) ?? []
  if (seconds !== undefined) return { milliseconds: Number(seconds) * 1000, fraction: part ?? "" }
  const ago = durationOf(text)
  if (ago !== null) return { milliseconds: now - ago }
  const [, day, time = "00:00", fraction, zone = ""] = DATE.exec(text) ?? []
  return { milliseconds: day === undefined ? Number.NaN : Date.parse(`${day}T${time}${zone}`), fraction }
}

/** Milliseconds; also with days, which Go has not. */
const durationOf = (text: string) =>
  parseDuration(text.replace(/(\d+)d/g, (_, days: string) => `${Number(days) * 24}h`))

/** "10m", "1h30m", "1.5s", seconds since 1970, or a date → the form that log entries have. Throws UsageError. */
export function logTime(option: string, text: string | undefined, now: number): string | null {
  if (text === undefined) return null
  const { milliseconds, fraction } = momentOf(text, now)
  if (!Number.isFinite(milliseconds) || Math.abs(milliseconds) > 8e15)
    throw new UsageError(`${option}: "${text}" is no time (use 2026-01-31T12:00:00Z, seconds since 1970, or 1h30m ago)`)
  const iso = new Date(milliseconds).toISOString()
  // All of them: who goes on from the time of the last line he has would else have those of that millisecond once more.
  return fraction === undefined
    ? iso.replace("Z", "000000Z")
    : `${iso.slice(0, 19)}.${fraction.slice(0, 9).padEnd(9, "0")}Z`
}
