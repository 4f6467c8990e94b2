/** When to try again, and after how long. */
import { ToyboxError } from "../../errors.ts"
import { type HttpResponse, shownUrl, TransferError } from "./http.ts"

export interface RetryPolicy {
  /** Tries in all. */
  attempts: number
  /** Milliseconds before the second try; each further wait is twice as long. */
  first: number
  /** The longest wait of our own, in milliseconds. */
  longest: number
  /** The longest wait that a server may ask for, in milliseconds. */
  longestAsked: number
  /** Hears of every further try. */
  report?: (why: string, waitMilliseconds: number) => void
}

export const RETRY: RetryPolicy = { attempts: 5, first: 500, longest: 30_000, longestAsked: 300_000 }

const TRANSIENT = new Set([408, 429, 500, 502, 503, 504])

export const isTransient = (status: number): boolean => TRANSIENT.has(status)

/** What Retry-After asks for, in milliseconds: RFC 9110, section 10.2.3. Null where it asks for nothing. */
export function retryAfter(value: string | null, now: number = Date.now()): number | null {
  if (value === null) return null
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

/** How long to wait after the `attempt`th failure: doubled each time, and spread, so that clients do not return as one. */
export function backOff(policy: RetryPolicy, attempt: number, chance: number = Math.random()): number {
  return Math.min(policy.longest, policy.first * 2 ** (attempt - 1)) * (0.5 + chance / 2)
}

/** Waits before the next try; throws where there is none left, or the server asks for too much. */
export async function pause(
  policy: RetryPolicy,
  attempt: number,
  why: ToyboxError,
  asked: number | null,
): Promise<void> {
  if (attempt >= policy.attempts) throw why
  if (asked !== null && asked > policy.longestAsked) {
    throw new ToyboxError(`${why.message}; it asks to come back in ${Math.ceil(asked / 1000)} s`, { hint: why.hint })
  }
  const wait = asked ?? backOff(policy, attempt)
  policy.report?.(why.message, wait)
  await Bun.sleep(wait)
}

/**
 * Makes a request until it has an answer that is not transient. The last answer, or the last failure, is what it gives.
 */
export async function withRetries(policy: RetryPolicy, request: () => Promise<HttpResponse>): Promise<HttpResponse> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await request()
      if (!isTransient(response.status) || attempt >= policy.attempts) return response
      response.cancel()
      const why = new ToyboxError(`${shownUrl(response.url)}: the server answers ${response.status}`)
      await pause(policy, attempt, why, retryAfter(response.headers.get("retry-after")))
    } catch (error) {
      if (!(error instanceof TransferError) || error.permanent) throw error
      await pause(policy, attempt, error, null)
    }
  }
}
