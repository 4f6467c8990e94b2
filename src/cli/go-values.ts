/** Values as docker's JSON and its templates have them, which are Go's. */

/** A time that has not come. */
export const NEVER = "0001-01-01T00:00:00Z"

/** A list without elements is null in Go's JSON, and yet [] in the text of a template. */
export const listOrNull = (list: readonly string[]): readonly string[] =>
  list.length > 0 ? list : Object.defineProperty([], "toJSON", { value: () => null })
