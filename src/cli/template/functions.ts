/** What templates can call: Go's own functions, and docker's (cli/templates/templates.go). */
import { UsageError } from "../../errors.ts"
import { exactJson } from "../../oci/seccomp.ts"
import { goFormat, goText, isNumeric, isThings } from "./print.ts"

export type Functions = Readonly<Record<string, (...args: unknown[]) => unknown>>

const fault = (name: string, why: string) => new UsageError(`--format: ${name} ${why}`)

function text(name: string, value: unknown): string {
  if (typeof value === "string") return value
  throw fault(name, `takes text, not ${goText(value)}`)
}

function count(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value)) return value
  throw fault(name, `takes a number, not ${goText(value)}`)
}

/** One thing of a list, or of things by name. What no name leads to is empty. */
function elementOf(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) {
    const i = count("index", key)
    if (i < 0 || i >= value.length) throw fault("index", `is out of range: ${i} of ${value.length}`)
    return value[i]
  }
  if (!isThings(value)) throw fault("index", `takes a list or a map, not ${goText(value)}`)
  const name = text("index", key)
  if (Object.hasOwn(value, name)) return value[name]
  return Object.values(value).every((one) => typeof one === "string") ? "" : null
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (isThings(value)) return Object.keys(value).length
  throw fault("len", `takes text, a list or a map, not ${goText(value)}`)
}

function cut(value: unknown, ...ends: unknown[]): unknown {
  const [from, to] = ends.map((end) => count("slice", end))
  if (typeof value !== "string" && !Array.isArray(value))
    throw fault("slice", `takes text or a list, not ${goText(value)}`)
  if (Math.max(from ?? 0, to ?? 0) > value.length || (to ?? value.length) < (from ?? 0))
    throw fault("slice", `is out of range: ${ends.join(" to ")} of ${value.length}`)
  return value.slice(from, to)
}

/** False, 0, nothing, and what is empty. */
export const isTrue = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : isThings(value) ? Object.keys(value).length > 0 : Boolean(value)

function compare(name: string, a: unknown, b: unknown): number {
  const isFit = (isNumeric(a) && isNumeric(b)) || (typeof a === "string" && typeof b === "string")
  if (!isFit) throw fault(name, `cannot compare ${goText(a)} and ${goText(b)}`)
  return a < b ? -1 : a > b ? 1 : 0
}

function equal(name: string, a: unknown, b: unknown): boolean {
  for (const one of [a, b]) if (typeof one === "object" && one !== null) throw fault(name, "compares no lists and maps")
  // biome-ignore lint/suspicious/noDoubleEquals: large and small ones are of two types
  return isNumeric(a) && isNumeric(b) ? a == b : (a ?? null) === (b ?? null)
}

/** With a space between two of which neither is text: fmt.Sprint. */
const sprint = (...values: unknown[]): string =>
  values
    .map((value, i) => {
      const isApart = i > 0 && typeof value !== "string" && typeof values[i - 1] !== "string"
      return `${isApart ? " " : ""}${goText(value)}`
    })
    .join("")

export const FUNCTIONS: Functions = {
  json: (value) => exactJson(value ?? null),
  join(list, separator) {
    if (!Array.isArray(list)) throw fault("join", `takes a list, not ${goText(list)}`)
    return list.map(goText).join(text("join", separator))
  },
  split: (value, separator) => text("split", value).split(text("split", separator)),
  lower: (value) => text("lower", value).toLowerCase(),
  upper: (value) => text("upper", value).toUpperCase(),
  title: (value) => text("title", value).replace(/(?<![\p{L}\p{N}_'])\p{L}/gu, (letter) => letter.toUpperCase()),
  pad: (value, before, after) =>
    text("pad", value) && `${" ".repeat(count("pad", before))}${value}${" ".repeat(count("pad", after))}`,
  truncate: (value, most) => text("truncate", value).slice(0, count("truncate", most)),
  println: (...values) => `${values.map(goText).join(" ")}\n`,
  print: sprint,
  printf: (format, ...values) => goFormat(text("printf", format), values),
  index: (value, ...keys) => keys.reduce(elementOf, value),
  slice: cut,
  len: lengthOf,
  not: (value) => !isTrue(value),
  eq: (a, ...others) => others.some((other) => equal("eq", a, other)),
  ne: (a, b) => !equal("ne", a, b),
  lt: (a, b) => compare("lt", a, b) < 0,
  le: (a, b) => compare("le", a, b) <= 0,
  gt: (a, b) => compare("gt", a, b) > 0,
  ge: (a, b) => compare("ge", a, b) >= 0,
}

/** Those that take any number of arguments, from the number of their own on. */
export const VARIADIC: ReadonlySet<string> = new Set(["println", "print", "printf", "index", "slice", "eq"])

const ON_HEADINGS = ["json", "join", "split", "lower", "upper", "title", "index", "slice", "truncate"]

/** The heading of a column is a word without parts, and stays as it is, whatever is done to the values. */
export const HEADING_FUNCTIONS: Functions = {
  ...FUNCTIONS,
  ...Object.fromEntries(ON_HEADINGS.map((name) => [name, (heading: unknown) => heading])),
}
