/** Times as docker's options have them. */
import { UsageError } from "../errors.ts"
import { parseDuration } from "./duration.ts"

// With a zone, or without one, which is that of this machine; a day alone may have one, too.
const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?))?(Z|[+-]\d{2}:\d{2})?$/

function dateOf(text: string): number {
  const [, day, time = "00:00", zone = ""] = DATE.exec(text) ?? []
  return day === undefined ? Number.NaN : Date.parse(`${day}T${time}${zone}`)
}

/** Milliseconds; also with days, which Go has not. */
const durationOf = (text: string) =>
  parseDuration(text.replace(/(\d+)d/g, (_, days: string) => `${Number(days) * 24}h`))

/** "10m", "1h30m", "1.5s", seconds since 1970, or a date → the form that log entries have. Throws UsageError. */
export function logTime(option: string, text: string | undefined, now: number): string | null {
  if (text === undefined) return null
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : null
  const ago = seconds === null ? durationOf(text) : null
  const milliseconds = seconds !== null ? seconds * 1000 : ago !== null ? now - ago : dateOf(text)
  if (!Number.isFinite(milliseconds) || Math.abs(milliseconds) > 8e15)
    throw new UsageError(`${option}: "${text}" is no time (use 2026-01-31T12:00:00Z, seconds since 1970, or 1h30m ago)`)
  return new Date(milliseconds).toISOString().replace("Z", "000000Z")
}
