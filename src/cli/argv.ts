/**
 * Our part of a command line: options anywhere among the words, or only before the first one, after which everything is the
 * container's. citty gives the shape of the definitions; it would read on into the container's words, accept unknown
 * options and keep only the last of a repeated one, so the reading is ours.
 */
import { UsageError } from "../errors.ts"
import { REFUSED_OPTIONS } from "./refused-options.ts"

export interface OptionDefinition {
  readonly type: "string" | "boolean"
  readonly description: string
  readonly alias?: string | readonly string[]
  /** What the value looks like, for the usage text. */
  readonly valueHint?: string
  /** May be given several times; all values count. */
  readonly repeated?: true
  /** The value may be left out ("--explain"), and is given with "=" only. */
  readonly optionalValue?: true
  /** Values that are as if it were left out, as docker has it: scripts give options with variables that may be empty, or 0. */
  readonly unset?: RegExp
}

/** What is no text, and no number, of an option. */
export const EMPTY = /^$/
export const ZERO = /^0+(\.0+)?[bkmg]?$/i

export type OptionDefinitions = Readonly<Record<string, OptionDefinition>>

/** Values by option name: the last one given, or all of a repeated one. */
export interface ParsedArgv {
  readonly strings: ReadonlyMap<string, string>
  readonly lists: ReadonlyMap<string, readonly string[]>
  readonly booleans: ReadonlyMap<string, boolean>
  /** The option as it was typed, for messages: "cpu" → "--cpus". */
  readonly typed: ReadonlyMap<string, string>
  /** The words that are no options, and all that come after "--". */
  readonly rest: readonly string[]
}

function names(definitions: OptionDefinitions): Map<string, string> {
  const found = new Map<string, string>()
  for (const [name, { alias }] of Object.entries(definitions)) {
    found.set(name, name)
    for (const other of alias === undefined ? [] : typeof alias === "string" ? [alias] : alias) found.set(other, name)
  }
  return found
}

/** Letters to add, leave out, replace, or exchange with the next, until one is the other. */
function distance(a: string, b: string): number {
  let before: readonly number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const exchange = isExchange ? (before[j - 2] ?? 0) + 1 : change
      next.push(Math.min(change, exchange, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}

/** The word most like `word`, where one is like enough. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const d = distance(word, candidate)
    if (d < least) [best, least] = [candidate, d]
  }
  return best
}

const refusedHint = (name: string) => (Object.hasOwn(REFUSED_OPTIONS, name) ? REFUSED_OPTIONS[name] : undefined)

const BOOLEANS: Record<string, boolean> = { true: true, false: false, "1": true, "0": false }

/**
 * Reads `argv` by `definitions`; options may stand in any position, and end at "--", as docker has it. Throws UsageError for an
 * unknown option, a missing or a superfluous value.
 */
export const parseArgv = (argv: readonly string[], definitions: OptionDefinitions): ParsedArgv =>
  parse(argv, definitions, true)

/** The same where the first word that is no option ends them: what follows it is another program's. */
export const parseLeading = (argv: readonly string[], definitions: OptionDefinitions): ParsedArgv =>
  parse(argv, definitions, false)

function parse(argv: readonly string[], definitions: OptionDefinitions, anywhere: boolean): ParsedArgv {
  // Most command lines have none but whole names.
  let known: ReadonlyMap<string, string> | undefined
  const nameOf = (key: string) => {
    if (Object.hasOwn(definitions, key)) return key
    known ??= names(definitions)
    return known.get(key)
  }
  const strings = new Map<string, string>()
  const lists = new Map<string, string[]>()
  const booleans = new Map<string, boolean>()
  const typed = new Map<string, string>()
  const rest: string[] = []
  let position = 0

  const define = (shown: string, key: string): [string, OptionDefinition] => {
    const name = nameOf(key)
    const definition = name === undefined ? undefined : definitions[name]
    if (name === undefined || definition === undefined) {
      const instead = Object.hasOwn(definitions, "entrypoint") ? refusedHint(key) : undefined
      if (instead !== undefined) throw new UsageError(`toybox has no option ${shown}`, { hint: instead })
      const like = closest(
        key,
        [...names(definitions).keys()].filter((other) => other.length > 1),
      )
      throw new UsageError(`unknown option ${shown}`, {
        hint: like
          ? `did you mean --${like}?`
          : Object.hasOwn(definitions, "entrypoint")
            ? "options of the command come after the root file system: see toybox run --help"
            : "--help shows those there are",
      })
    }
    typed.set(name, shown)
    return [name, definition]
  }
  const take = (shown: string, name: string, definition: OptionDefinition, attached: string | undefined) => {
    if (definition.type === "boolean") {
      const value = attached === undefined ? true : BOOLEANS[attached.toLowerCase()]
      if (value === undefined) throw new UsageError(`${shown}: "${attached}" is neither true nor false`)
      booleans.set(name, value)
      return
    }
    let value = attached
    if (value === undefined && !definition.optionalValue) {
      value = argv[position++]
      if (value === undefined)
        throw new UsageError(
          `${shown} needs a value${definition.valueHint ? `: ${shown} ${definition.valueHint}` : ""}`,
        )
    }
    if (definition.repeated) lists.set(name, [...(lists.get(name) ?? []), value ?? ""])
    else if (definition.unset?.test(value ?? "")) {
      strings.delete(name)
      typed.delete(name)
    } else strings.set(name, value ?? "")
  }

  while (position < argv.length) {
    const word = argv[position] ?? ""
    if (word === "--") {
      position++
      break
    }
    if (word === "-" || !word.startsWith("-")) {
      if (!anywhere) break
      rest.push(word)
      position++
      continue
    }
    position++
    if (word.startsWith("--")) {
      const equals = word.indexOf("=")
      const shown = equals < 0 ? word : word.slice(0, equals)
      const [name, definition] = define(shown, shown.slice(2))
      take(shown, name, definition, equals < 0 ? undefined : word.slice(equals + 1))
      continue
    }
    // -it, -eNAME=value, -e=value as docker takes it.
    for (let i = 1; i < word.length; i++) {
      const shown = `-${word[i]}`
      const [name, definition] = define(shown, word[i] ?? "")
      if (definition.type === "boolean" && word[i + 1] !== "=") {
        take(shown, name, definition, undefined)
        continue
      }
      const attached = word.slice(i + 1)
      take(
        shown,
        name,
        definition,
        attached === "" ? undefined : attached.startsWith("=") ? attached.slice(1) : attached,
      )
      break
    }
  }
  return { strings, lists, booleans, typed, rest: [...rest, ...argv.slice(position)] }
}
