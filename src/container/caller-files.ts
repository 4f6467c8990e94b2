/**
 * Files of the caller as the command's 0, 1 and 2. A process that has one open may open it anew by /proc/self/fd, for writing
 * though it was opened for reading, and change its mode: so it gets none of them, but pipes, and of a file to be read a
 * view that nobody can write through.
 */
import { call, callResult } from "../../ffi/call.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_GETFL,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  SEEK_CUR,
  SEEK_SET,
} from "../../ffi/constants/fcntl.ts"
import { MOUNT_ATTR_RDONLY, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../ffi/constants/mount.ts"
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close, readLink, type Stat, stat } from "../../ffi/fs.ts"
import { MOUNT_ATTR_SIZE, mountAttr } from "../../ffi/structs.ts"
import { isTerminal } from "../../ffi/tty.ts"
import { ToyboxError } from "../errors.ts"
import type { StandardFds } from "../plan/steps.ts"
import { isOrdinaryUser } from "./facts.ts"

const NAMES = ["input", "output", "error"]

/**
 * What the caller has given as a descriptor: a regular file; a null device; a terminal; what else has a place in the file
 * system, and so a mode and an owner there (a FIFO, a device); or what has not (a pipe, a socket).
 */
export type CallerKind = "file" | "null" | "terminal" | "named" | "other"

const isNull = ({ rdevMajor, rdevMinor }: Stat) => rdevMajor === 1 && rdevMinor === 3

/** Throws ToyboxError for a directory, from which all of the machine's files could be reached. */
export function callerKind(fd: number): CallerKind {
  const found = stat("", AT_EMPTY_PATH, fd)
  const kind = (found?.mode ?? 0) & S_IFMT
  if (kind === S_IFDIR || (kind === S_IFREG && (call("fcntl", fd, F_GETFL, 0) & O_PATH) !== 0))
    throw new ToyboxError(`standard ${NAMES[fd]} is a directory, which no container gets`)
  if (kind === S_IFREG) return "file"
  if (kind === S_IFCHR) return found && isNull(found) ? "null" : isTerminal(fd) ? "terminal" : "named"
  // pipe(7): those that have no name lead to "pipe:[…]".
  if (kind === S_IFIFO) return readLink(`/proc/self/fd/${fd}`)?.startsWith("pipe:") ? "other" : "named"
  return kind === S_IFBLK ? "named" : "other"
}

/** A descriptor of an open file through a read-only mount of its own; less than 0 where there is none to be had. */
function openView(fd: number, flags: number): number {
  const mount = callResult("open_tree", fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
  if (mount < 0) return mount
  const attributes = mountAttr(MOUNT_ATTR_RDONLY, 0)
  const closed = callResult("mount_setattr", mount, "", AT_EMPTY_PATH, attributes, MOUNT_ATTR_SIZE)
  const view = closed < 0 ? closed : callResult("openat", AT_FDCWD, `/proc/self/fd/${mount}`, flags | O_CLOEXEC, 0)
  close(mount)
  return view
}

/** For an ordinary user, who can make no other one: the caller's null device; where that user's could change it, a view of it. */
function givenNull(fd: number, { uid }: Stat): number | null {
  if (uid !== 0 || process.geteuid?.() !== 0) return fd
  // What is written to a device is no change of the mount.
  const view = openView(fd, O_RDWR)
  return view < 0 ? null : view
}

/** The caller's 0, 1 and 2 as they are, but for a null device, which is to be the container's own: null. */
export function ownStandardFds(): StandardFds {
  const own = (fd: number) => {
    const found = stat("", AT_EMPTY_PATH, fd)
    if (!found || (found.mode & S_IFMT) !== S_IFCHR || !isNull(found)) return fd
    return isOrdinaryUser() ? givenNull(fd, found) : null
  }
  return [own(0), own(1), own(2)]
}

/** One file, whichever descriptors it is open by. */
export function isSameFile(one: number, other: number): boolean {
  const [a, b] = [stat("", AT_EMPTY_PATH, one), stat("", AT_EMPTY_PATH, other)]
  return a !== null && b !== null && a.dev === b.dev && a.ino === b.ino
}

/** A view of the caller's file at the same place in it. */
export interface View {
  fd: number
  /** Where the command has stopped reading, who comes after it goes on. */
  ended: () => void
}

/**
 * A file through a read-only mount of its own; null where there is none to be had: of what has no name any more, or where
 * root may not open what the caller could (NFS with root_squash, FUSE without allow_root).
 */
export function readOnlyView(fd: number): View | null {
  const view = openView(fd, O_RDONLY)
  if (view < 0) return null
  const seek = (from: number, to: number) => callResult("lseek", to, callResult("lseek", from, 0, SEEK_CUR), SEEK_SET)
  seek(fd, view)
  return { fd: view, ended: () => seek(view, fd) }
}
