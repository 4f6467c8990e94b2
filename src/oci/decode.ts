/**
 * JSON values → checked data. A reader takes a value and its place ("config.json: linux.devices[2].major"), and throws a
 * UsageError that begins with the place. As Go's encoder writes it, null stands for absent.
 */
import { UsageError } from "../errors.ts"

/** JSON.parse that keeps whole numbers beyond 2^53 - 1 exact, as bigints: seccomp needs 64 bits. Throws SyntaxError. */
export function parseJson(text: string): unknown {
  // A reviver is slow, and most texts have no such number.
  if (!/\d{16}/.test(text)) return JSON.parse(text)
  type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown
  const exact: Reviver = (_, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && /^\d+$/.test(source)
      ? BigInt(source)
      : value
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown)
}

/** Gives the checked value back, or throws a UsageError that names `where`. */
export type Read<T> = (value: unknown, where: string) => T

const SHOWN = 60

/** A value as an error shows it: its JSON, cut short. */
export function shown(value: unknown): string {
  if (typeof value === "bigint") return String(value)
  const long = typeof value === "string" ? value.slice(0, SHOWN + 1) : value
  if (Array.isArray(long)) return "a list"
  if (typeof long === "object" && long !== null) return "an object"
  const text = JSON.stringify(long) ?? "nothing"
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text
}

/** Throws the UsageError of a value that is not what it must be. */
export function refuse(where: string, must: string, value: unknown): never {
  throw new UsageError(`${where.replace(/:$/, "")}: must be ${must}, is ${shown(value)}`)
}

/** The place of a field: below "config.json:" it stands alone, below others behind a dot. */
export const below = (where: string, key: string): string =>
  where.endsWith(":") ? `${where} ${key}` : `${where}.${key}`

/** Any text without a NUL, which no system call could take. */
export const text: Read<string> = (value, where) => {
  if (typeof value !== "string") return refuse(where, "a text", value)
  if (value.includes("\0")) throw new UsageError(`${where}: must not contain a NUL character`)
  return value
}

/** A text that is not empty. */
export const word: Read<string> = (value, where) =>
  text(value, where) || refuse(where, "a text that is not empty", value)

/** A text that begins with a slash. */
export const absolutePath: Read<string> = (value, where) => {
  const path = text(value, where)
  return path.startsWith("/") ? path : refuse(where, "an absolute path", value)
}

export const flag: Read<boolean> = (value, where) =>
  typeof value === "boolean" ? value : refuse(where, "true or false", value)

/** A whole number from `least` to `most`. */
export const integer =
  (least: number, most: number): Read<number> =>
  (value, where) => {
    // parseJson gives the greatest ones so.
    const number = typeof value === "bigint" ? Number(value) : value
    return typeof number === "number" && Number.isInteger(number) && number >= least && number <= most
      ? number
      : refuse(where, `a whole number from ${BigInt(least)} to ${BigInt(most)}`, value)
  }

export const uint16 = integer(0, 0xffff)
export const uint32 = integer(0, 0xffffffff)
// As a double, the last few numbers of 64 bits are rounded up.
export const uint64 = integer(0, 2 ** 64)
export const int64 = integer(-(2 ** 63), 2 ** 63)

/** All of 64 bits, to the last one: beyond 2^53 - 1 a bigint. */
export const exactUint64: Read<number | bigint> = (value, where) => {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value
  if (typeof value === "bigint" && value >= 0n && value < 1n << 64n) return value
  return refuse(where, "a whole number of 64 bits", value)
}

/** One of some words. */
export const oneOf =
  <W extends string>(words: readonly W[]): Read<W> =>
  (value, where) =>
    words.find((each) => each === value) ?? refuse(where, `one of ${words.join(", ")}`, value)

/** A list of which each element is read. */
export const list =
  <T>(read: Read<T>): Read<T[]> =>
  (value, where) => {
    if (!Array.isArray(value)) return refuse(where, "a list", value)
    return value.map((each, index) => read(each, `${where}[${index}]`))
  }

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** An object with keys of the user's. */
export const record =
  <T>(read: Read<T>): Read<Record<string, T>> =>
  (value, where) => {
    if (!isObject(value)) return refuse(where, "an object", value)
    const entries = Object.entries(value).map(([key, each]) => {
      if (key === "" || key.includes("\0")) throw new UsageError(`${where}: ${shown(key)} is no name`)
      return [key, read(each, `${where}[${shown(key)}]`)] as const
    })
    // Not by assignment: a key may be "__proto__".
    return Object.fromEntries(entries)
  }

/** One reader for each field: the compiler sees to it that no field of T is forgotten. */
export type Readers<T> = { readonly [K in keyof T]-?: Read<NonNullable<T[K]>> }

/**
 * An object with the known fields of T; unknown ones are left out (runtime-spec config.md, "Extensibility"). `absent` gives
 * what stands for fields that are not there; a field with `required` must be.
 */
export const object =
  <T extends object>(
    readers: Readers<T>,
    required: readonly (keyof T & string)[] = [],
    absent: () => Partial<T> = () => ({}),
  ): Read<T> =>
  (value, where) => {
    if (!isObject(value)) return refuse(where, "an object", value)
    const result: Partial<T> = absent()
    for (const key of required) {
      if (!Object.hasOwn(value, key) || value[key] === null) throw new UsageError(`${below(where, key)}: is missing`)
    }
    for (const key of Object.keys(readers) as (keyof T & string)[]) {
      const field = Object.hasOwn(value, key) ? value[key] : undefined
      if (field !== undefined && field !== null) result[key] = readers[key](field, below(where, key))
    }
    return result as T
  }

/** Refuses fields that are not known, in a text that people write: a misspelt condition would be none. */
export function onlyFields(
  value: unknown,
  where: string,
  fields: readonly string[],
): Readonly<Record<string, unknown>> {
  if (!isObject(value)) return refuse(where, "an object", value)
  for (const field of Object.keys(value)) {
    if (!fields.includes(field)) throw new UsageError(`${below(where, field)}: there is no such field`)
  }
  return value
}

/** Refuses a field that is there, unless it is empty. */
export const unsupported =
  (why: string): Read<never> =>
  (value, where) => {
    const empty = (isObject(value) || Array.isArray(value)) && Object.keys(value).length === 0
    if (empty) return undefined as never
    throw new UsageError(`${where}: ${why}`)
  }
