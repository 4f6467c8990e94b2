/** Durations as Go writes them, and so docker and the OCI tools: 1m30s, 500ms. */

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}
const PART = /(\d{1,12}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)/g

/** As parseDuration, of health checks: null, too, between 0 (the default) and 1ms, docker's least. */
export function parseHealthTime(text: string): number | null {
  const milliseconds = parseDuration(text)
  return milliseconds !== null && milliseconds !== 0 && milliseconds < 1 ? null : milliseconds
}

/** Milliseconds; null where the text is no duration. "0" is one. */
export function parseDuration(text: string): number | null {
  if (text === "0") return 0
  const parts = [...text.matchAll(PART)]
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) return null
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit ?? ""] ?? 0), 0)
}
