/** The executable's own pages. */
import { callResult } from "./call.ts"
import { MADV_DONTNEED } from "./constants/mman.ts"
import { readLink, readText } from "./fs.ts"

// "start-end r-xp offset device inode path": its code, and what comes first in it, which nothing is ever written to.
const UNWRITTEN = /^([0-9a-f]+)-([0-9a-f]+) (?:r-xp [0-9a-f]+|r--p 0+) \S+ \d+ +(.*)$/

/**
 * Lets go of what a start has mapped of the executable; what is needed again comes from the page cache: madvise(2),
 * proc_pid_maps(5).
 */
export function releaseProgram(): void {
  const executable = readLink("/proc/self/exe")
  for (const line of readText("/proc/self/maps").split("\n")) {
    const [, start = "", end = "", path] = UNWRITTEN.exec(line) ?? []
    if (path === undefined || path !== executable) continue
    const address = Number.parseInt(start, 16)
    callResult("madvise", address, Number.parseInt(end, 16) - address, MADV_DONTNEED)
  }
}
