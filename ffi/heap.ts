/** The garbage collector's memory, which no child needs. */
import { callResult } from "./call.ts"
import { MADV_DONTFORK } from "./constants/mman.ts"
import { readText } from "./fs.ts"

// Bun reserves its heaps in pieces of a gigabyte and more; everything else of this process is far smaller.
const LEAST = 256 * 1024 * 1024

/**
 * Keeps JavaScript's heap out of the children made from now on: a child has nothing of it to leak, the clone has less
 * to copy, and this process does not fault on every page that it writes to afterwards. madvise(2), proc_pid_maps(5).
 */
export function keepHeapFromChildren(): void {
  for (const line of readText("/proc/self/maps").split("\n")) {
    // "start-end rw-p 00000000 00:00 0 " and no name: private and anonymous.
    if (!line.includes(" rw-p 00000000 00:00 0 ") || line.endsWith("]")) continue
    const dash = line.indexOf("-")
    const start = Number.parseInt(line.slice(0, dash), 16)
    const length = Number.parseInt(line.slice(dash + 1, line.indexOf(" ")), 16) - start
    // Refused, the child has what it does not need: as without the call.
    if (length >= LEAST) callResult("madvise", start, length, MADV_DONTFORK)
  }
}
