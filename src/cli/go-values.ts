/** Values as docker's JSON and its templates have them, which are Go's. */

/** A time that has not come. */
export const NEVER = "0001-01-01T00:00:00Z"

/** What JSON leaves out where it is not set, and templates can ask for all the same: `unset` has what they find then. */
export function omitEmpty<T extends object>(value: T, unset: Readonly<Record<string, unknown>>): T {
  for (const [name, found] of Object.entries(unset))
    if ((value as Record<string, unknown>)[name] === undefined)
      Object.defineProperty(value, name, { value: found, enumerable: false })
  return value
}

/** A map without keys is null in Go's JSON, and yet map[] in the text of a template. */
export const mapOrNull = (map: Readonly<Record<string, unknown>>): object =>
  Object.keys(map).length > 0 ? map : Object.defineProperty({}, "toJSON", { value: () => null })

/** A list without elements is null in Go's JSON, and yet [] in the text of a template. */
export const listOrNull = (list: readonly string[]): readonly string[] =>
  list.length > 0 ? list : Object.defineProperty([], "toJSON", { value: () => null })
