/** Values as Go prints them: https://pkg.go.dev/fmt. */
import { UsageError } from "../../errors.ts"

/** Things by name, in Go's order. */
export const entriesOf = (value: object): [string, unknown][] =>
  Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

export const isThings = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Those that a double does not hold are bigints. */
export const isNumeric = (value: unknown): value is number | bigint =>
  typeof value === "number" || typeof value === "bigint"

const isWhole = (value: unknown): value is number | bigint => typeof value === "bigint" || Number.isInteger(value)

/** %v. */
export function goText(value: unknown): string {
  // A key that a map has not, and a pointer to nothing.
  if (value === undefined) return "<no value>"
  if (value === null) return "<nil>"
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`
  if (isThings(value))
    return `map[${entriesOf(value)
      // A port that is exposed, and its kin, have nothing to say: Go's struct{}.
      .map(([name, one]) => `${name}:${isThings(one) && Object.keys(one).length === 0 ? "{}" : goText(one)}`)
      .join(" ")}]`
  return String(value)
}

const VERB = /%(?<flags>[-+0# ]*)(?<width>\d+)?(?:\.(?<precision>\d+))?(?<verb>[a-zA-Z%])/gu

function converted(verb: string, value: unknown, precision: string | undefined): string | null {
  switch (verb) {
    case "v":
    case "s":
      return precision === undefined ? goText(value) : goText(value).slice(0, Number(precision))
    case "q":
      return JSON.stringify(goText(value))
    case "t":
      return typeof value === "boolean" ? String(value) : null
    case "d":
      return isWhole(value) ? String(value) : null
    case "x":
      return isWhole(value) ? value.toString(16) : Buffer.from(goText(value)).toString("hex")
    case "f":
      return typeof value === "number" ? value.toFixed(Number(precision ?? 6)) : null
    default:
      return null
  }
}

/** printf with the verbs v, s, q, t, d, x and f. Throws UsageError. */
export function goFormat(format: string, args: readonly unknown[]): string {
  let position = 0
  const text = format.replace(VERB, (whole, flags, width, precision, verb) => {
    if (verb === "%") return "%"
    if (position >= args.length) throw new UsageError(`--format: printf has nothing for ${whole}`)
    const shown = converted(verb, args[position++], precision)
    if (shown === null) throw new UsageError(`--format: printf cannot show ${goText(args[position - 1])} as ${whole}`)
    const signed = flags.includes("+") && verb === "d" && !shown.startsWith("-") ? `+${shown}` : shown
    if (flags.includes("-")) return signed.padEnd(Number(width ?? 0))
    return signed.padStart(Number(width ?? 0), flags.includes("0") ? "0" : " ")
  })
  if (position < args.length) throw new UsageError(`--format: printf "${format}" has no place for all its values`)
  return text
}
