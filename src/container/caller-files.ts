/**
 * Files of the caller as the command's 0, 1 and 2. A process that has one open may open it anew by /proc/self/fd, for writing
 * though it was opened for reading, and change its mode: so it gets none of them, but pipes, and of a file to be read a
 * view that nobody can write through.
 */
import { call, callResult } from "../../ffi/call.ts"
import { AT_EMPTY_PATH, F_GETFL, O_PATH, O_RDONLY, SEEK_CUR, SEEK_SET } from "../../ffi/constants/fcntl.ts"
import { MOUNT_ATTR_RDONLY, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../ffi/constants/mount.ts"
import { S_IFDIR, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close, open, stat } from "../../ffi/fs.ts"
import { MOUNT_ATTR_SIZE, mountAttr } from "../../ffi/structs.ts"
import { ToyboxError } from "../errors.ts"

const NAMES = ["input", "output", "error"]

/** Whether it is a file. Throws ToyboxError for a directory, from which all of the machine's files could be reached. */
export function isFile(fd: number): boolean {
  const kind = (stat("", AT_EMPTY_PATH, fd)?.mode ?? 0) & S_IFMT
  if (kind === S_IFDIR || (kind === S_IFREG && (call("fcntl", fd, F_GETFL, 0) & O_PATH) !== 0))
    throw new ToyboxError(`standard ${NAMES[fd]} is a directory, which no container gets`)
  return kind === S_IFREG
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

/** A file through a read-only mount of its own; null where it cannot be mounted, as what has no name any more. */
export function readOnlyView(fd: number): View | null {
  const mount = callResult("open_tree", fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
  if (mount < 0) return null
  const flags = AT_EMPTY_PATH
  if (callResult("mount_setattr", mount, "", flags, mountAttr(MOUNT_ATTR_RDONLY, 0), MOUNT_ATTR_SIZE) < 0) {
    close(mount)
    return null
  }
  const view = open(`/proc/self/fd/${mount}`, O_RDONLY)
  const seek = (from: number, to: number) => callResult("lseek", to, callResult("lseek", from, 0, SEEK_CUR), SEEK_SET)
  seek(fd, view)
  return { fd: view, ended: () => seek(view, fd) }
}
