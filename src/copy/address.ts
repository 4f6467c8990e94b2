/** What the words of `toybox cp` mean: docker cp, "Extended description". Paths are binary strings (one character a byte). */
import { UsageError } from "../errors.ts"

/** Where something is copied from or to. */
export type Address =
  | { kind: "container"; container: string; path: string }
  | { kind: "host"; path: string }
  | { kind: "stream" }

/** `CONTAINER:PATH`, a path of this machine (one with a colon begins with "/" or "."), or "-". Throws UsageError. */
export function parseAddress(word: string): Address {
  if (word === "")
    throw new UsageError("cp: an empty path", { hint: "toybox cp CONTAINER:PATH PATH, or the other way" })
  if (word === "-") return { kind: "stream" }
  const path = (text: string) => Buffer.from(text, "utf8").toString("latin1")
  const colon = word.indexOf(":")
  if (colon < 1 || /^[/.]/.test(word)) return { kind: "host", path: path(word) }
  const inside = word.slice(colon + 1)
  if (inside === "") throw new UsageError(`cp: "${word}" has no path`, { hint: `for everything: ${word}/` })
  // Of the container's root, whatever its working directory is.
  return { kind: "container", container: word.slice(0, colon), path: path(`/${inside}`.replace(/^\/+/, "/")) }
}

/** A path, taken apart. */
export interface SplitPath {
  /** Without what asks for a directory at its end; "/" or "." at least. */
  whole: string
  /** Where its last name is in. */
  parent: string
  /** "" of the root. */
  base: string
  /** "a/": a directory; "a/.": what is in it. */
  wants: "any" | "directory" | "contents"
}

export function splitPath(path: string): SplitPath {
  const trimmed = path.replace(/(\/+\.?)+$/, "")
  const whole = trimmed === "" ? "/" : trimmed
  const base = whole.slice(whole.lastIndexOf("/") + 1)
  const parent = whole.includes("/") ? whole.slice(0, whole.lastIndexOf("/")) || "/" : "."
  const isContents = base === "" || base === "." || /(^|\/)\.\/*$/.test(path)
  const wants = isContents ? "contents" : path.endsWith("/") || base === ".." ? "directory" : "any"
  return { whole, parent, base, wants }
}
