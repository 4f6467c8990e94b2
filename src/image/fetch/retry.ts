/** When a failed request is tried again, and how long to wait before: RFC 9110 sections 10.2.3 and 15.5, 15.6. */

/** How patient a request is; times in milliseconds. */
export interface Patience {
  /** From the request to the answer's head: the connection, TLS and the server's own time. */
  answer: number
  /** Between two pieces of the body. What is slow but alive goes on. */
  idle: number
  /** Tries without progress. */
  attempts: number
  /** The first pause, doubled from try to try. */
  pause: number
  /** The longest pause, a server's Retry-After included. */
  longestPause: number
}

export const DEFAULT_PATIENCE: Patience = {
  answer: 30_000,
  idle: 30_000,
  attempts: 5,
  pause: 500,
  longestPause: 120_000,
}

const PASSING = new Set([408, 425, 429, 500, 502, 503, 504])

/** Whether a status says that the same request may succeed later. */
export const isPassing = (status: number): boolean => PASSING.has(status)

/** Milliseconds before try number `attempt` (from 1): doubled each time, and between half and the whole of it by chance. */
export function backOff(attempt: number, { pause, longestPause }: Patience, chance = Math.random()): number {
  const whole = Math.min(pause * 2 ** (attempt - 1), longestPause)
  return whole / 2 + (whole / 2) * chance
}

/** What a Retry-After header asks for, in milliseconds from `now`; null where there is none or it says nothing. */
export function retryAfter(header: string | null, now = Date.now()): number | null {
  if (header === null) return null
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

/** Waits; rejects with its reason when the signal comes. */
export function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const give = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", give)
      resolve()
    }, milliseconds)
    signal?.addEventListener("abort", give)
  })
}
