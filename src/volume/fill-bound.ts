/**
 * A directory of the host that a volume leads to (-o o=bind) is filled in its place: it is not toybox's, and may be another
 * file system. What is copied is in a directory within it until it is whole, and then moved up, entry by entry.
 */
import { call } from "../../ffi/call.ts"
import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, listEntries, lstat, open, stat } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { copyTree } from "../overlay/copy.ts"
import { cannotFill } from "./volume.ts"

const decoder = new TextDecoder()
const textOf = (name: Uint8Array) => decoder.decode(name.subarray(0, -1))

const openBelow = (directory: number, name: string) =>
  call("openat", directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)

/** What lies in `whole` goes up into the directory, which gets its owner and mode; what somebody has put there meanwhile stays. */
function moveUp(directory: number, whole: string): void {
  const from = openBelow(directory, whole)
  try {
    for (const { name } of listEntries(from))
      if (lstat(name, directory) === null) call("renameat", from, name, directory, name)
    const found = stat("", AT_EMPTY_PATH, from)
    // In this order: chown(2) clears the bits for set-user-id.
    if (found) {
      call("fchown", directory, found.uid, found.gid)
      call("fchmod", directory, found.mode & 0o7777)
    }
  } finally {
    close(from)
  }
  removeTree(`/proc/self/fd/${directory}/${whole}`)
}

/** Copies the directory `from` there; only root can look into it meanwhile. */
function copyInto(directory: number, name: string, from: string): void {
  call("mkdirat", directory, name, 0o700)
  const copy = openBelow(directory, name)
  try {
    copyTree(from, `/proc/self/fd/${copy}/.`)
  } finally {
    close(copy)
  }
}

/** The directory; null where the volume is a file, or leads to nothing. */
function openTarget(path: string): number | null {
  try {
    return open(path, O_RDONLY | O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return null
    throw error
  }
}

/**
 * Copies `from` (null: nothing) into the directory `path` of the volume `name`, if that is empty; goes on with what a killed
 * toybox had begun. Throws ToyboxError.
 */
export function fillBound(path: string, name: string, from: string | null): void {
  const directory = openTarget(path)
  if (directory === null) return
  const copy = `.toybox-${name}`
  const whole = `${copy}.whole`
  const below = (entry: string) => `/proc/self/fd/${directory}/${entry}`
  try {
    const names = listEntries(directory).map(({ name }) => textOf(name))
    removeTree(below(copy))
    if (!names.includes(whole)) {
      if (from === null || names.some((entry) => entry !== copy)) return
      copyInto(directory, copy, from)
      call("renameat", directory, copy, directory, whole)
    }
    moveUp(directory, whole)
  } catch (error) {
    removeTree(below(copy))
    throw cannotFill(name, error)
  } finally {
    close(directory)
  }
}
