/** The garbage collector's memory, which no child needs. */
import { MADV_DONTFORK } from "./constants/mman.ts"
import { advise } from "./maps.ts"

// Bun reserves its heaps in pieces of a gigabyte and more; everything else of this process is far smaller.
const LEAST = 256 * 1024 * 1024

/**
 * Keeps JavaScript's heap out of the children made from now on: a child has nothing of it to leak, the clone has less
 * to copy, and this process does not fault on every page that it writes to afterwards. madvise(2), proc_pid_maps(5).
 */
export const keepHeapFromChildren = (): void =>
  // "start-end rw-p 00000000 00:00 0 " and no name: private and anonymous. Refused, the child has what it does not need.
  advise(MADV_DONTFORK, (line) => line.includes(" rw-p 00000000 00:00 0 ") && !line.endsWith("]"), LEAST)
