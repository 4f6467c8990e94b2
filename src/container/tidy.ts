/** Keeping a supervisor small: by itself the engine would keep its garbage, ten megabytes of it. */

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
  let last = 0
  return {
    wait: () => (rounds > 0 ? Math.max(0, Math.ceil(last + QUIET - performance.now())) : null),
    after(idle) {
      const now = performance.now()
      if (idle ? rounds > 0 && now >= last + QUIET : ++rounds >= MOST_ROUNDS) {
        Bun.gc(true)
        rest()
        rounds = 0
      }
      if (!idle) last = now
    },
  }
}
