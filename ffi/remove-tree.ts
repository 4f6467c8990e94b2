/** Removing directory trees that a container has made: hostile in depth, names and links. */
import { call, callResult, failure } from "./call.ts"
import { AT_FDCWD, AT_REMOVEDIR, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, SEEK_SET } from "./constants/fcntl.ts"
import { DT_DIR, type Entry, listEntries } from "./directory.ts"
import { close } from "./fs.ts"

const encoder = new TextEncoder()
const ENOENT = -2
const EEXIST = -17
const ENOTDIR = -20
const ENOTEMPTY = -39
const ELOOP = -40

/** Removes one entry unless it is a directory with something in it; true where it is gone. */
function removeEntry(dirFd: number, { name, type }: Entry): boolean {
  if (type !== DT_DIR) {
    const result = callResult("unlinkat", dirFd, name, 0)
    if (result === 0 || result === ENOENT) return true
  }
  const result = callResult("unlinkat", dirFd, name, AT_REMOVEDIR)
  return result === 0 || result === ENOENT
}

/** Moves a directory to a free name in another one. */
function moveUp(fromFd: number, name: Uint8Array, toFd: number, freeName: () => Uint8Array): Uint8Array {
  for (;;) {
    const free = freeName()
    const result = callResult("renameat", fromFd, name, toFd, free)
    if (result === 0) return free
    if (result !== EEXIST && result !== ENOTEMPTY && result !== ENOTDIR) {
      throw failure("renameat", result, fromFd, name, toFd, free)
    }
  }
}

// As deep as what toybox itself makes.
const LEVELS = 4

/**
 * Empties an open directory (not one opened with O_PATH). What is deeper than `levels` is moved up first: a container may have made
 * levels without end, and neither a descriptor nor a stack frame may be held for each. Names are bytes, because they need not be UTF-8.
 */
export function emptyDirectory(topFd: number, levels = LEVELS): void {
  // Somebody may have read it already.
  call("lseek", topFd, 0, SEEK_SET)
  const left = listEntries(topFd)
  let moved = 0
  const freeName = () => encoder.encode(`.removed-${moved++}\0`)
  for (let entry = left.pop(); entry !== undefined; entry = left.pop()) {
    if (removeEntry(topFd, entry)) continue
    const { name } = entry
    const fd = callResult("openat", topFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
    // No directory, and yet not removed (immutable, say): the errno of the removal is the one to tell.
    if (fd === ENOTDIR || fd === ELOOP) call("unlinkat", topFd, name, 0)
    if (fd < 0) throw failure("openat", fd, topFd, name)
    try {
      if (levels > 0) emptyDirectory(fd, levels - 1)
      else
        for (const inner of listEntries(fd)) {
          if (!removeEntry(fd, inner)) left.push({ name: moveUp(fd, inner.name, topFd, freeName), type: DT_DIR })
        }
    } finally {
      close(fd)
    }
    call("unlinkat", topFd, name, AT_REMOVEDIR)
  }
}

/**
 * Removes a directory tree without following anything out of it; nothing there is fine. A path of bytes ends with NUL
 * and may be relative to an open directory.
 */
export function removeTree(path: string | Uint8Array, dirFd = AT_FDCWD): void {
  const fd = callResult("openat", dirFd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  if (fd === ENOENT) return
  if (fd < 0) throw failure("open", fd, path)
  try {
    emptyDirectory(fd)
  } finally {
    close(fd)
  }
  call("unlinkat", dirFd, path, AT_REMOVEDIR)
}
