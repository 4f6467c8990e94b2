/**
 * The directories that a copy goes to, found anew for nearly every file: whoever has the tree may be changing it. What is
 * made here is never left through a symlink; in a container a symlink that was there leads as the container sees it.
 */
import { call, callResult, failure } from "../../ffi/call.ts"
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts"
import { close } from "../../ffi/fs.ts"
import { openat2 } from "../../ffi/openat2.ts"
import { openHow } from "../../ffi/structs.ts"
import { shownName, toName } from "../image/layer/binary.ts"
import { IMPLIED_MODE } from "../image/layer/directories.ts"
import { EntryError } from "../image/layer/errors.ts"

export interface Target {
  /** A container's root, or the directory itself. */
  rootFd: number
  /** The directory that the copy goes to, from there. */
  directory: string
  /** Whether symlinks to directories are followed, inside the root. */
  follow: boolean
}

export interface TargetDirectories {
  /** The directory at these components, made where it is missing; valid until the next one is asked for. Throws EntryError. */
  open(components: readonly string[]): number
  /** The same for one that is to be there, or to be made; whether it was made. */
  make(components: readonly string[]): { fd: number; made: boolean }
  close(): void
}

const ENOENT = -2
const EEXIST = -17
const ENOTDIR = -20
const ELOOP = -40

const FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC
const IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
// A copy comes sorted: the directories in use are those above one another.
const MOST_OPEN = 64

export function createTargetDirectories({ rootFd, directory, follow }: Target): TargetDirectories {
  const opened = new Map<string, number>()
  const key = (components: readonly string[]) => components.join("/")

  function keep(path: string, fd: number): number {
    if (opened.size >= MOST_OPEN) {
      const [oldest] = opened
      if (oldest) {
        opened.delete(oldest[0])
        close(oldest[1])
      }
    }
    opened.set(path, fd)
    return fd
  }

  /** What a path leads to, symlinks followed where that is wanted. */
  function resolve(path: string): number {
    const how = openHow(FLAGS, follow ? IN_ROOT : IN_ROOT | RESOLVE_NO_SYMLINKS)
    const whole = path === "" ? directory : `${directory}/${path}`
    const fd = openat2(rootFd, toName(whole === "" ? "." : whole), how)
    if (fd === ENOENT) throw new EntryError(`${shownName(path)} is a symlink to what is not there, or is gone`)
    if (fd === ENOTDIR) throw new EntryError("what is there is no directory")
    if (fd === ELOOP) throw new EntryError("what is there is a symlink")
    if (fd < 0) throw failure("openat2", fd, shownName(whole))
    return fd
  }

  function make(components: readonly string[]): { fd: number; made: boolean } {
    const path = key(components)
    const known = opened.get(path)
    if (known !== undefined) {
      // The newest again: what was asked for last is closed last.
      opened.delete(path)
      opened.set(path, known)
      return { fd: known, made: false }
    }
    if (components.length === 0) return { fd: keep("", resolve("")), made: false }
    const name = toName(components.at(-1) as string)
    const parent = make(components.slice(0, -1)).fd
    const result = callResult("mkdirat", parent, name, 0o700)
    if (result < 0 && result !== EEXIST) throw failure("mkdirat", result, shownName(path))
    const made = result === 0
    const fd = callResult("openat", parent, name, FLAGS | O_NOFOLLOW, 0)
    if (fd >= 0) return { fd: keep(path, fd), made }
    if (made || !follow || (fd !== ELOOP && fd !== ENOTDIR)) {
      if (fd === ENOTDIR || fd === ELOOP) throw new EntryError("what is there is no directory")
      throw failure("openat", fd, shownName(path))
    }
    return { fd: keep(path, resolve(path)), made: false }
  }

  return {
    make,
    open(components) {
      const { fd, made } = make(components)
      if (made) call("fchmod", fd, IMPLIED_MODE)
      return fd
    },
    close() {
      for (const fd of opened.values()) close(fd)
      opened.clear()
    },
  }
}
