/** What an image layer removes from those below: image-spec layer.md, "Whiteouts", as overlayfs has it. */
import { call, callResult, failure } from "../../../ffi/call.ts"
import { S_IFCHR, S_IFMT } from "../../../ffi/constants/stat.ts"
import { lstat, type Stat } from "../../../ffi/fs.ts"
import { shownName, toName } from "./binary.ts"

const EEXIST = -17

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

/** Whether a stat is that of an overlay's whiteout: a character device 0:0. */
export const isWhiteoutStat = (stat: Stat | null): boolean =>
  stat !== null && (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0

/** Whether there is a whiteout of this name. */
export const isWhiteout = (dirFd: number, name: string): boolean => isWhiteoutStat(lstat(toName(name), dirFd))

/** Makes a whiteout; false where the name is taken: a layer's whiteouts do not hide what is in the same layer. */
export function makeWhiteout(dirFd: number, name: string): boolean {
  const result = callResult("mknodat", dirFd, toName(name), S_IFCHR, 0)
  if (result < 0 && result !== EEXIST) throw failure("mknodat", result, shownName(name))
  return result === 0
}

/** The attribute of a directory that hides what layers below have in it. */
export const OPAQUE_XATTR = "trusted.overlay.opaque"

/** Lets an open directory hide what layers below have in it. */
export function setOpaque(fd: number): void {
  call("fsetxattr", fd, OPAQUE_XATTR, Uint8Array.of(0x79), 1, 0)
}
