/**
 * A volume is filled in its place, for containers may have it mounted already. What is copied is beside the volume until it
 * is whole, and then moved up, entry by entry. A directory of the host that a volume leads to (-o o=bind) is not toybox's, and
 * may be another file system: there it is a directory within it.
 */
import { call } from "../../ffi/call.ts"
import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { listDir, listEntries } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, lstat, open, readLink, stat } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { copyTree, copyXattrs } from "../overlay/copy.ts"
import type { Paths } from "../paths.ts"
import { volumePath } from "./remove.ts"
import { cannotFill, volumeData } from "./volume.ts"

const openBelow = (directory: number, name: string) =>
  call("openat", directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)

/** Where what is copied lies until it is moved up. */
interface Staging {
  fd: number
  /** Being copied. */
  copy: string
  /** To be moved up. */
  whole: string
}

const remove = ({ fd }: Staging, name: string) => removeTree(`/proc/self/fd/${fd}/${name}`)

/** What lies there goes up into the directory, which gets its owner, mode and attributes; what somebody has put there meanwhile stays. */
function moveUp(staging: Staging, directory: number): void {
  const from = openBelow(staging.fd, staging.whole)
  try {
    for (const { name } of listEntries(from))
      if (lstat(name, directory) === null) call("renameat", from, name, directory, name)
    const found = stat("", AT_EMPTY_PATH, from)
    // In this order: chown(2) clears the bits for set-user-id.
    if (found) {
      call("fchown", directory, found.uid, found.gid)
      call("fchmod", directory, found.mode & 0o7777)
      copyXattrs(from, directory)
    }
  } finally {
    close(from)
  }
  remove(staging, staging.whole)
}

/** Copies the directory `from` there; only root can look into it meanwhile. */
function copyInto({ fd, copy, whole }: Staging, from: string): void {
  call("mkdirat", fd, copy, 0o700)
  const directory = openBelow(fd, copy)
  try {
    copyTree(from, `/proc/self/fd/${directory}/.`)
  } finally {
    close(directory)
  }
  call("renameat", fd, copy, fd, whole)
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
 * Copies `from` (null: nothing) into a volume, if that is empty; goes on with what a killed toybox had begun. False where it
 * is empty still. Throws ToyboxError.
 */
export function fillIn(paths: Paths, name: string, from: string | null): boolean {
  const data = volumeData(paths, name)
  const directory = openTarget(data)
  if (directory === null) return true
  const isBound = readLink(data) !== null
  const fd = isBound ? directory : open(volumePath(paths, name), O_RDONLY | O_DIRECTORY)
  const copy = isBound ? `.toybox-${name}` : "data.new"
  const staging = { fd, copy, whole: `${copy}.whole` }
  const isEmpty = () =>
    listDir(`/proc/self/fd/${directory}`).every((entry) => isBound && (entry === copy || entry === staging.whole))
  try {
    remove(staging, copy)
    if (lstat(staging.whole, fd) === null) {
      if (from === null || !isEmpty()) return !isEmpty()
      copyInto(staging, from)
    }
    moveUp(staging, directory)
    return !isEmpty()
  } catch (error) {
    remove(staging, copy)
    throw cannotFill(name, error)
  } finally {
    close(directory)
    if (fd !== directory) close(fd)
  }
}
