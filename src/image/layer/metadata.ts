/** Owners, modes, times and extended attributes, given to what has been made. Each function names what it follows: nothing. */
import { call, callResult, failure } from "../../../ffi/call.ts"
import type { Struct } from "../../../ffi/calls.ts"
import { struct } from "../../../ffi/calls.ts"
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_NOFOLLOW, O_PATH } from "../../../ffi/constants/fcntl.ts"
import { close } from "../../../ffi/fs.ts"
import { isOverlayAttribute } from "../../overlay/whiteouts.ts"
import { shownName, toBytes, toName } from "./binary.ts"
import { EntryError } from "./errors.ts"
import type { TarEntry } from "./tar/entry.ts"

/** What an entry says about its file, apart from the content. */
export type Metadata = Pick<TarEntry, "mode" | "uid" | "gid" | "mtime" | "mtimeNanoseconds" | "xattrs">

/** That alone, for what is kept until the end. */
export const metadataOf = ({ mode, uid, gid, mtime, mtimeNanoseconds, xattrs }: TarEntry): Metadata => ({
  mode,
  uid,
  gid,
  mtime,
  mtimeNanoseconds,
  xattrs,
})

const EPERM = -1
const E2BIG = -7
const EINVAL = -22
const ERANGE = -34
const EOPNOTSUPP = -95

/**
 * Attributes that are this machine's: what overlayfs keeps for itself would let an archive speak to the overlay above it,
 * and labels and hashes belong to the policy of the machine where they were made.
 */
const REFUSED_XATTRS = ["security.selinux", "security.evm", "security.ima"]

/** The attributes an archive may set. */
function* wanted(xattrs: Metadata["xattrs"]): Generator<[name: string, value: string]> {
  for (const [name, value] of xattrs ?? []) {
    if (!isOverlayAttribute(name) && !REFUSED_XATTRS.some((prefix) => name.startsWith(prefix))) yield [name, value]
  }
}

function checkXattr(result: number, name: string): void {
  // A file system without attributes; but a program that relies on its capabilities would fail much later.
  if (result === EOPNOTSUPP && name !== "security.capability") return
  if (result === EOPNOTSUPP) throw new EntryError("has file capabilities, which this file system cannot keep")
  // The last two are of values and names that are too long: xattr(7).
  if (result === EINVAL || result === E2BIG || result === ERANGE)
    throw new EntryError(`has an extended attribute ${shownName(name)} that the kernel refuses`)
  if (result < 0) throw failure("setxattr", result, shownName(name))
}

/** Twice the same, for access and modification: struct timespec[2]. */
const timesOf = ({ mtime, mtimeNanoseconds }: Metadata): Struct =>
  struct([8, mtime], [8, mtimeNanoseconds], [8, mtime], [8, mtimeNanoseconds])

/** By an open descriptor: files and directories. The order matters: chown(2) clears capabilities and the setuid bit. */
export function applyToOpen(fd: number, metadata: Metadata): void {
  call("fchown", fd, metadata.uid, metadata.gid)
  for (const [name, value] of wanted(metadata.xattrs)) {
    const bytes = toBytes(value)
    checkXattr(callResult("fsetxattr", fd, toName(name), bytes, bytes.length, 0), name)
  }
  call("fchmod", fd, metadata.mode)
  call("futimens", fd, timesOf(metadata))
}

/** By the name in an open directory: symlinks, devices and FIFOs, which are not opened. */
export function applyToName(dirFd: number, name: string, metadata: Metadata, isSymlink: boolean): void {
  const path = toName(name)
  call("fchownat", dirFd, path, metadata.uid, metadata.gid, AT_SYMLINK_NOFOLLOW)
  for (const [attribute, value] of wanted(metadata.xattrs)) {
    const bytes = toBytes(value)
    const own = toName(`/proc/self/fd/${dirFd}/${name}`)
    const result = callResult("lsetxattr", own, toName(attribute), bytes, bytes.length, 0)
    // Only files and directories can have these: xattr(7).
    if (result === EPERM && attribute.startsWith("user.")) continue
    checkXattr(result, attribute)
  }
  if (!isSymlink) {
    // fchmodat(2) would follow: by the thing itself.
    const fd = call("openat", dirFd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
    try {
      call("fchmodat", AT_FDCWD, `/proc/self/fd/${fd}`, metadata.mode, 0)
    } finally {
      close(fd)
    }
  }
  call("utimensat", dirFd, path, timesOf(metadata), AT_SYMLINK_NOFOLLOW)
}

/** Bytes of the attributes. */
export const xattrBytes = ({ xattrs }: Metadata): number =>
  [...(xattrs ?? [])].reduce((sum, [name, value]) => sum + name.length + value.length, 0)

/** Whether a file has attributes to set. */
export const hasXattrs = ({ xattrs }: Metadata): boolean => !wanted(xattrs).next().done
