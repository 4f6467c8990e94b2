/** How listing commands show things. */
import type { HealthStatus } from "../container/health.ts"
import type { Summary } from "../container/list.ts"
import { print } from "../log.ts"

const DAY = 86_400

const SECOND = { from: 0, span: 1, word: "second" }

/** From so many seconds on it is told in spans of so many. */
const SPANS = [
  { from: 730 * DAY, span: 365 * DAY, word: "year" },
  { from: 60 * DAY, span: 30 * DAY, word: "month" },
  { from: 14 * DAY, span: 7 * DAY, word: "week" },
  { from: DAY, span: DAY, word: "day" },
  { from: 3600, span: 3600, word: "hour" },
  { from: 60, span: 60, word: "minute" },
]

/** How long ago a time is, in words. */
export const ago = (iso: string): string => since(Date.parse(iso))

/** The same of one in milliseconds. */
export function since(time: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000))
  const { span, word } = SPANS.find((one) => seconds >= one.from) ?? SECOND
  const count = Math.floor(seconds / span)
  return `${count} ${word}${count === 1 ? "" : "s"} ago`
}

/** Rows in columns as wide as they must be. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => widest(rows, column)) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n")
}

function widest(rows: readonly (readonly string[])[], column: number): number {
  let width = 0
  for (const row of rows) width = Math.max(width, row[column]?.length ?? 0)
  return width
}

/** What --format of a listing asks for; undefined where that is the listing's own table, as with docker's bare "table". */
export const listFormat = (text: string | undefined): string | undefined => (text === "table" ? undefined : text)

/** Prints rows so; none is no line. False as of print. */
export const printTable = (rows: readonly (readonly string[])[]): boolean => rows.length === 0 || print([table(rows)])

/** Text that comes from strangers: it must not speak to the terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are meant
export const shown = (text: string) => text.replace(/[\0-\x1f\x7f-\x9f]/g, "?")

/** Health behind the status of what runs; nothing where nobody asks for it. */
const healthText = (health: HealthStatus | undefined): string =>
  health === undefined ? "" : health === "starting" ? " (health: starting)" : ` (${health})`

/** "Up 5 minutes", "Exited (0) 2 hours ago": docker's words. */
export function dockerStatus({ status, exitCode, started, finished, health }: Summary): string {
  const since = started ? ` ${ago(started).replace(/ ago$/, "")}` : ""
  if (status === "running") return `Up${since}${healthText(health)}`
  if (status === "paused") return `Up${since} (Paused)`
  if (status === "restarting") return `Restarting (${exitCode})${finished ? ` ${ago(finished)}` : ""}`
  if (status === "exited") return `Exited (${exitCode})${finished ? ` ${ago(finished)}` : ""}`
  return `${status.slice(0, 1).toUpperCase()}${status.slice(1)}`
}

/** A command in quotes, and its beginning only unless it is wanted in full. */
export function commandText(command: readonly string[], full: boolean): string {
  const line = shown(command.join(" "))
  return JSON.stringify(full || line.length <= 20 ? line : `${line.slice(0, 19)}…`)
}
