import { median, type Timing } from "./measure.ts"

/** Upper bounds for toybox's median as a share of the peer's. */
export const TARGETS: Readonly<Record<string, number>> = { crun: 1.25, runc: 0.45, podman: 0.08 }

/** What a run on a cached archive may cost as a share of one on its directory. */
export const CACHED_TARGET = 1.05

/** What an engine's run may cost with toybox as a share of one with crun. */
export const ENGINE_TARGET = 1.05

/** What the first run on an archive may cost as a share of `zcat | tar -x`. */
export const UNPACK_TARGET = 1

/** The same upper bound for both scenarios that compare toybox with itself. */
export const GROWTH_TARGET = 1.1

/** A figure beside its upper bound. */
export function verdict(ratio: number, bound: number): string {
  return `${ratio.toFixed(3)} of at most ${bound}: ${ratio <= bound ? "ok" : "over"}`
}

/** The table of one scenario, one row per contender, in the order in which they are given. */
export function table(timings: readonly Timing[], base: string, notes: Readonly<Record<string, string>>): string {
  const reference = timings.find((timing) => timing.name === base)
  const rows = timings.map((timing) => [
    timing.name,
    median(timing).toFixed(2),
    (timing.times[0] ?? Number.NaN).toFixed(2),
    reference === undefined ? "-" : (median(timing) / median(reference)).toFixed(2),
    notes[timing.name] ?? "",
  ])
  const all = [["", "median ms", "min ms", `× ${base}`, ""], ...rows]
  const widths = [0, 1, 2, 3].map((i) => Math.max(...all.map((row) => row[i]?.length ?? 0)))
  return all
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
    )
    .join("\n")
}

/** One line per target that both sides of were measured; `over` tells whether any was missed. */
export function targets(timings: readonly Timing[]): { lines: string[]; over: boolean } {
  const toybox = timings.find((timing) => timing.name === "toybox")
  const lines: string[] = []
  for (const [name, bound] of Object.entries(TARGETS)) {
    const peer = timings.find((timing) => timing.name === name)
    if (toybox === undefined || peer === undefined) continue
    lines.push(`toybox / ${name}: ${verdict(median(toybox) / median(peer), bound)}`)
  }
  return { lines, over: lines.some((line) => line.endsWith("over")) }
}

/** The line that compares `grown` with `base`. */
export function growth(grown: Timing, base: Timing, target = GROWTH_TARGET): { line: string; over: boolean } {
  const line = `${grown.name} / ${base.name}: ${verdict(median(grown) / median(base), target)}`
  return { line, over: line.endsWith("over") }
}
