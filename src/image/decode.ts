/** JSON of strangers → checked values; every error names the document and the field. */
import { ToyboxError } from "../errors.ts"

/** A value in a document: `path` is the way to it ("layers[2].digest"), `document` what people know it by. */
export interface Field {
  readonly document: string
  readonly path: string
  readonly value: unknown
}

/** What a wrong document fails with. */
export function fault(field: Field, why: string): ToyboxError {
  return new ToyboxError(`${field.document}: ${field.path === "" ? "" : `${field.path}: `}${why}`)
}

/** The document as a field. Throws ToyboxError where it is no JSON. */
export function decodeJson(bytes: Uint8Array | string, document: string): Field {
  try {
    const text = typeof bytes === "string" ? bytes : new TextDecoder("utf-8", { fatal: true }).decode(bytes)
    return { document, path: "", value: JSON.parse(text) }
  } catch (error) {
    throw new ToyboxError(`${document} is not JSON`, { cause: error })
  }
}

function described(value: unknown): string {
  if (value === undefined) return "missing"
  if (value === null) return "null"
  if (Array.isArray(value)) return "an array"
  const text = JSON.stringify(value)
  return typeof value === "object" ? "an object" : text.length > 100 ? `${text.slice(0, 100)}…` : text
}

const expected = (field: Field, what: string): ToyboxError =>
  fault(field, field.value === undefined ? `${what} is missing` : `must be ${what}, but is ${described(field.value)}`)

/** Whether there is anything; Go writes null for what it leaves out. */
export const isPresent = (field: Field): boolean => field.value !== undefined && field.value !== null

function entries(field: Field): Record<string, unknown> {
  const { value } = field
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw expected(field, "an object")
  return value as Record<string, unknown>
}

/** A member of an object; its value is undefined where it is missing. */
export function member(field: Field, name: string): Field {
  const object = entries(field)
  const path = field.path === "" ? name : `${field.path}.${name}`
  return { document: field.document, path, value: Object.hasOwn(object, name) ? object[name] : undefined }
}

export function string(field: Field): string {
  if (typeof field.value !== "string") throw expected(field, "a string")
  return field.value
}

/** A whole number that is not negative. */
export function count(field: Field): number {
  if (!Number.isSafeInteger(field.value) || (field.value as number) < 0)
    throw expected(field, "a whole number of 0 or more")
  return field.value as number
}

export function boolean(field: Field): boolean {
  if (typeof field.value !== "boolean") throw expected(field, "true or false")
  return field.value
}

/** The elements of an array of at most `most`. */
export function list(field: Field, most: number): Field[] {
  if (!Array.isArray(field.value)) throw expected(field, "an array")
  if (field.value.length > most) throw fault(field, `has ${field.value.length} elements, ${most} are allowed`)
  return field.value.map((value, i) => ({ document: field.document, path: `${field.path}[${i}]`, value }))
}

/** The members of an object, as fields. */
export function members(field: Field): [string, Field][] {
  const shown = (name: string) => (name.length > 60 ? `${name.slice(0, 60)}…` : name)
  return Object.entries(entries(field)).map(([name, value]) => [
    name,
    { document: field.document, path: `${field.path}["${shown(name)}"]`, value },
  ])
}

/** What `read` makes of it, or undefined where there is nothing. */
export const optional = <T>(field: Field, read: (field: Field) => T): T | undefined =>
  isPresent(field) ? read(field) : undefined

const MANY = 65536

export const strings = (field: Field): string[] => list(field, MANY).map(string)

export const stringMap = (field: Field): Record<string, string> =>
  Object.fromEntries(members(field).map(([name, value]) => [name, string(value)]))
