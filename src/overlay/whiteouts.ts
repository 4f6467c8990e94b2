/**
 * What a layer hides of those below: overlayfs.rst, "whiteouts and opaque directories". Where the kernel lets nobody make
 * those (a directory that lies on an overlay itself), toybox's own marks stand for them: such layers are copied (copy.ts),
 * never mounted.
 */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { EEXIST, EOPNOTSUPP, EPERM } from "../../ffi/constants/errno.ts"
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { S_IFCHR, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close, lstat, type Stat } from "../../ffi/fs.ts"

const OPAQUE = "trusted.overlay.opaque"
const OWN_OPAQUE = "trusted.toybox.opaque"
const OWN_WHITEOUT = "trusted.toybox.whiteout"
const YES = Uint8Array.of(0x79)

/** Attributes that speak to overlayfs or to toybox, and are nothing of a file's own. */
export const isOverlayAttribute = (name: string): boolean => /^((trusted|user)\.overlay|trusted\.toybox)\./.test(name)

/** Whether a stat is that of an overlay's whiteout: a character device 0:0. */
export const isWhiteoutStat = (stat: Stat | null): boolean =>
  stat !== null && (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0

/**
 * The path of a name (bytes with a closing NUL) in an open directory: for calls on attributes, which take no descriptor with it.
 * AT_FDCWD is for a name that is a path itself.
 */
export function pathIn(dirFd: number, name: Uint8Array): Uint8Array {
  if (dirFd === AT_FDCWD) return name
  const directory = new TextEncoder().encode(`/proc/self/fd/${dirFd}/`)
  const path = new Uint8Array(directory.length + name.length)
  path.set(directory)
  path.set(name, directory.length)
  return path
}

/** Whether there is a whiteout, of either form, of this name (bytes with a closing NUL) in an open directory. */
export function isWhiteout(dirFd: number, name: Uint8Array, stat = lstat(name, dirFd)): boolean {
  if (isWhiteoutStat(stat)) return true
  if (stat?.mode !== S_IFREG || stat.size !== 0) return false
  return callResult("lgetxattr", pathIn(dirFd, name), OWN_WHITEOUT, scratch.address, SCRATCH_SIZE) > 0
}

function makeMark(dirFd: number, name: Uint8Array): boolean {
  const fd = callResult("openat", dirFd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0)
  if (fd === -EEXIST) return false
  if (fd < 0) throw failure("openat", fd, dirFd, name)
  try {
    call("fchmod", fd, 0)
    call("fsetxattr", fd, OWN_WHITEOUT, YES, YES.length, 0)
  } finally {
    close(fd)
  }
  return true
}

/** Makes a whiteout; false where the name is taken. */
export function makeWhiteout(dirFd: number, name: Uint8Array): boolean {
  const result = callResult("mknodat", dirFd, name, S_IFCHR, 0)
  if (result === -EPERM) return makeMark(dirFd, name)
  if (result < 0 && result !== -EEXIST) throw failure("mknodat", result, dirFd, name)
  return result === 0
}

/** Lets an open directory hide what layers below have in it. */
export function setOpaque(fd: number): void {
  const result = callResult("fsetxattr", fd, OPAQUE, YES, YES.length, 0)
  if (result === -EPERM || result === -EOPNOTSUPP) call("fsetxattr", fd, OWN_OPAQUE, YES, YES.length, 0)
  else if (result < 0) throw failure("fsetxattr", result, fd, OPAQUE)
}

/** Whether a directory, open or at a path (bytes with a closing NUL), hides what layers below have in it. */
export const isOpaque = (directory: number | Uint8Array): boolean =>
  [OPAQUE, OWN_OPAQUE].some((attribute) => {
    const length =
      typeof directory === "number"
        ? callResult("fgetxattr", directory, attribute, scratch.address, SCRATCH_SIZE)
        : callResult("lgetxattr", directory, attribute, scratch.address, SCRATCH_SIZE)
    return length === 1 && scratch.bytes[0] === YES[0]
  })
