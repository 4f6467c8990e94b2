/** What an image layer removes from those below: image-spec layer.md, "Whiteouts". */
const PREFIX = ".wh."
const OPAQUE = ".wh..wh..opq"

/** What an entry of this name means: its own file, "opaque", what it hides, or nothing at all (aufs kept such files). */
export type Meaning =
  | { readonly kind: "file" }
  | { readonly kind: "opaque" }
  | { readonly kind: "ignored" }
  | { readonly kind: "whiteout"; readonly hidden: string }

/** Reads the last component of an entry's path. */
export function meaningOf(name: string): Meaning {
  if (!name.startsWith(PREFIX)) return { kind: "file" }
  if (name === OPAQUE) return { kind: "opaque" }
  if (name.startsWith(`${PREFIX}${PREFIX}`)) return { kind: "ignored" }
  return { kind: "whiteout", hidden: name.slice(PREFIX.length) }
}
