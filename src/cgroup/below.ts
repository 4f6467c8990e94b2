/**
 * The cgroups below a container's, which it has made itself where it may: hostile in depth, names and number. Names are bytes,
 * and what lies deeper than a path can tell (PATH_MAX) is reached step by step.
 */
import { call, callResult, failure } from "../../ffi/call.ts"
import { AT_FDCWD, AT_REMOVEDIR, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { DT_DIR, type Entry, listEntries } from "../../ffi/directory.ts"
import { close } from "../../ffi/fs.ts"

const ENOENT = -2
const EBUSY = -16
const ENODEV = -19
const ENOTEMPTY = -39
const HOW = O_RDONLY | O_DIRECTORY | O_CLOEXEC

const cgroupsIn = (fd: number): Entry[] => listEntries(fd, DT_DIR)

/** A level on the way down: what is left to see on it, and how the next one is called there. */
interface Level {
  rest: Entry[]
  name: Uint8Array
}

/**
 * Goes through all that is below a cgroup with one descriptor, whatever its depth: ".." leads back, since a cgroup is never
 * moved into another. `enter` is called on the way down; on the way up `leave` has the directory that a name is in.
 */
function walk(dir: string, enter: (fd: number) => void, leave: (fd: number, name: Uint8Array) => void): void {
  let fd = callResult("openat", AT_FDCWD, dir, HOW, 0)
  if (fd === ENOENT) return
  if (fd < 0) throw failure("openat", fd, AT_FDCWD, dir)
  const levels: Level[] = []
  const go = (to: number) => {
    close(fd)
    fd = to
  }
  try {
    for (let rest = cgroupsIn(fd); ; ) {
      const entry = rest.pop()
      if (entry) {
        const child = callResult("openat", fd, entry.name, HOW, 0)
        if (child === ENOENT || child === ENODEV) continue
        if (child < 0) throw failure("openat", child, fd, entry.name)
        levels.push({ rest, name: entry.name })
        go(child)
        enter(fd)
        rest = cgroupsIn(fd)
      } else {
        const level = levels.pop()
        if (!level) return
        go(call("openat", fd, "..", HOW, 0))
        leave(fd, level.name)
        rest = level.rest
      }
    }
  } finally {
    close(fd)
  }
}

/** Calls `each` for every cgroup below one, with a path of it that holds during the call. Throws SyscallError. */
export const eachBelow = (dir: string, each: (path: string) => void): void =>
  walk(
    dir,
    (fd) => each(`/proc/self/fd/${fd}`),
    () => undefined,
  )

const LEFT = [0, ENOENT, ENODEV, EBUSY, ENOTEMPTY]

/** Removes those below a cgroup that no process is in. Throws SyscallError. */
export const removeBelow = (dir: string): void =>
  walk(
    dir,
    () => undefined,
    (fd, name) => {
      const result = callResult("unlinkat", fd, name, AT_REMOVEDIR)
      if (!LEFT.includes(result)) throw failure("unlinkat", result, fd, name, AT_REMOVEDIR)
    },
  )
