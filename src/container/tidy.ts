/** Keeping a supervisor small: by itself the engine would keep its garbage, ten megabytes of it. */
import { releaseProgram } from "../../ffi/program.ts"

// It goes after so long a quiet (milliseconds), or so many rounds.
const QUIET = 1000
const MOST_ROUNDS = 1000

export interface Tidy {
  /** Milliseconds until it is to be looked at again; null where there is nothing to tidy up. */
  wait(): number | null
  /** After each round of the loop. */
  after(idle: boolean): void
}

/** `rest` gives back other memory, when the garbage goes. */
export function createTidy(rest: () => void): Tidy {
  let rounds = 0
  let last = performance.now()
  // A start leaves little garbage, but has mapped half of what the supervisor seems to hold.
  let used = true
  const tidyHeap = () => {
    Bun.gc(true)
    rest()
    rounds = 0
  }
  return {
    wait: () => (used ? Math.max(0, Math.ceil(last + QUIET - performance.now())) : null),
    after(idle) {
      const now = performance.now()
      if (!idle) {
        last = now
        used = true
        if (++rounds >= MOST_ROUNDS) tidyHeap()
      } else if (used && now >= last + QUIET) {
        if (rounds > 0) tidyHeap()
        releaseProgram()
        used = false
      }
    },
  }
}
