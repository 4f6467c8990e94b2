/** The executable's own pages. */
import { MADV_DONTNEED } from "./constants/mman.ts"
import { readLink } from "./fs.ts"
import { advise } from "./maps.ts"

// "start-end r-xp offset device inode path": its code, and what comes first in it, which nothing is ever written to.
const UNWRITTEN = /^[0-9a-f]+-[0-9a-f]+ (?:r-xp [0-9a-f]+|r--p 0+) \S+ \d+ +(.*)$/

/** Lets go of what a start has mapped of the executable; what is needed again comes from the page cache. */
export function releaseProgram(): void {
  const executable = readLink("/proc/self/exe")
  advise(MADV_DONTNEED, (line) => executable !== null && UNWRITTEN.exec(line)?.[1] === executable)
}
