/** toybox logs. */
import { showLogs } from "../../container/logs.ts"
import { UsageError } from "../../errors.ts"
import { pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { LOGS_OPTIONS } from "./logs-options.ts"

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** "10m", "1h30m", seconds since 1970, or a date → the form that log entries have. Throws UsageError. */
export function logTime(option: string, text: string | undefined, now: number): string | null {
  if (text === undefined) return null
  const spans = /^(\d+[smhd])+$/.test(text) ? [...text.matchAll(/(\d+)([smhd])/g)] : null
  const ago = spans?.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ""] ?? 0), 0)
  const milliseconds =
    ago !== undefined ? now - ago * 1000 : /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (!Number.isFinite(milliseconds) || Math.abs(milliseconds) > 8e15)
    throw new UsageError(`${option}: "${text}" is no time (use 2026-01-31T12:00:00Z, seconds since 1970, or 1h30m ago)`)
  return new Date(milliseconds).toISOString().replace("Z", "000000Z")
}

function tailLines(text: string | undefined): number | null {
  if (text === undefined || text === "all") return null
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--tail: "${text}" is no number of lines (or all)`)
  return Number(text)
}

export async function logsCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, LOGS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("logs")
  const [container, superfluous] = rest
  if (container === undefined || superfluous !== undefined)
    throw new UsageError("logs needs one container's name or id", { hint: "toybox ps -a lists them" })
  showLogs(pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT), container, {
    follow: booleans.get("follow") ?? false,
    timestamps: booleans.get("timestamps") ?? false,
    since: logTime("--since", strings.get("since"), Date.now()),
    until: logTime("--until", strings.get("until"), Date.now()),
    tail: tailLines(strings.get("tail")),
  })
  return 0
}
