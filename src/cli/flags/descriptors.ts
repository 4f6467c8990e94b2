/** Descriptors of the caller's that a command gets: --preserve-fds, LISTEN_FDS. */
import { callResult } from "../../../ffi/call.ts"
import { F_GETFD } from "../../../ffi/constants/fcntl.ts"
import { listDir } from "../../../ffi/directory.ts"
import { readLink, tryReadText } from "../../../ffi/fs.ts"
import { UsageError } from "../../errors.ts"

/** The descriptors of this process's own event loop (proc_pid_fdinfo(5), epoll), and those that signals come by. */
function ownDescriptors(): Set<number> {
  const own = new Set<number>()
  for (const name of listDir("/proc/self/fd")) {
    const kind = readLink(`/proc/self/fd/${name}`)
    if (kind === "anon_inode:[signalfd]") own.add(Number(name))
    if (kind !== "anon_inode:[eventpoll]") continue
    own.add(Number(name))
    const watched = tryReadText(`/proc/self/fdinfo/${name}`) ?? ""
    for (const [, fd] of watched.matchAll(/^tfd:\s*(\d+)/gm)) own.add(Number(fd))
  }
  return own
}

function count(name: string, text: string | undefined): number {
  if (text === undefined || text === "") return 0
  if (!/^\d{1,4}$/.test(text)) throw new UsageError(`${name}: "${text}" is not a number of descriptors`)
  return Number(text)
}

/**
 * As many descriptors from 3 on as are open, `most` at most; to be asked before this process opens any of its own. FD_CLOEXEC
 * says nothing: Bun sets it on all that it finds at its start.
 */
function openDescriptors(most: number): number[] {
  const own = ownDescriptors()
  const isPassed = (fd: number) => callResult("fcntl", fd, F_GETFD, 0) >= 0 && !own.has(fd)
  const fds = Array.from({ length: most }, (_, i) => i + 3)
  const missing = fds.findIndex((fd) => !isPassed(fd))
  return missing < 0 ? fds : fds.slice(0, missing)
}

const notOpen = (fd: number) => new UsageError(`--preserve-fds: descriptor ${fd} is not open`)

/** Those that --preserve-fds names. Throws UsageError where one is not open. */
export function preservedDescriptors(preserve: string | undefined): number[] {
  const preserved = count("--preserve-fds", preserve)
  const fds = preserved === 0 ? [] : openDescriptors(preserved)
  if (fds.length < preserved) throw notOpen(fds.length + 3)
  return fds
}

/** The same with those of LISTEN_FDS behind them (sd_listen_fds(3)), as far as they are there, and the variables that tell. */
export function listenedDescriptors(preserve: string | undefined): { fds: number[]; env: string[] } {
  const preserved = count("--preserve-fds", preserve)
  const listen = count("LISTEN_FDS", process.env.LISTEN_FDS)
  if (preserved + listen === 0) return { fds: [], env: [] }
  const fds = openDescriptors(preserved + listen)
  if (fds.length < preserved) throw notOpen(fds.length + 3)
  const there = fds.length - preserved
  return { fds, env: there > 0 ? [`LISTEN_FDS=${there}`, "LISTEN_PID=1"] : [] }
}
