/** How a registry is spoken to, and how often the same is asked. */
import { ToyboxError } from "../../errors.ts"
import type { Answer, ExchangeOptions } from "../fetch/exchange.ts"
import { PassingError } from "../fetch/failure.ts"
import { backOff, DEFAULT_PATIENCE, isPassing, type Patience, retryAfter, sleep } from "../fetch/retry.ts"
import { shownUrl } from "./answer.ts"

/** What all requests to a registry have in common. */
export interface Transport extends Pick<ExchangeOptions, "certificates" | "insecureHost" | "client" | "signal"> {
  patience?: Patience
  /** Hears why, and for how long, is waited. */
  notice?: (text: string) => void
}

/** What a caller says of it; the rest is the endpoint's. */
export type Manners = Omit<Transport, "certificates" | "insecureHost" | "client">

/** Waits before the next try; throws `error` where there is none left, or it will not pass. */
export async function pause(transport: Transport, failures: number, error: unknown): Promise<void> {
  const patience = transport.patience ?? DEFAULT_PATIENCE
  const ended = transport.signal?.aborted || failures >= patience.attempts
  if (!(error instanceof PassingError) || !error.soon || ended) throw error
  const asked = error.retryAfter
  if (asked !== null && asked > patience.longestPause) {
    throw new ToyboxError(`${error.message}, and asks to come again in ${Math.ceil(asked / 1000)} s`, {
      hint: error.hint,
    })
  }
  const wait = Math.max(asked ?? 0, backOff(failures, patience))
  transport.notice?.(`${error.message}; trying again${wait >= 1000 ? ` in ${Math.round(wait / 1000)} s` : ""}`)
  await sleep(wait, transport.signal)
}

/** Makes a request until its answer is not one that may pass; the last answer, or the last failure, is what it gives. */
export async function withRetries(transport: Transport, request: () => Promise<Answer>): Promise<Answer> {
  const { attempts, longestPause } = transport.patience ?? DEFAULT_PATIENCE
  for (let failures = 1; ; failures++) {
    try {
      const answer = await request()
      if (!isPassing(answer.status) || failures >= attempts) return answer
      const asked = retryAfter(answer.headers.get("retry-after"))
      // What it says of itself tells more than that it takes long.
      if (asked !== null && asked > longestPause) return answer
      answer.cancel()
      throw new PassingError(`${shownUrl(answer.url)} answers with status ${answer.status}`, { retryAfter: asked })
    } catch (error) {
      await pause(transport, failures, error)
    }
  }
}
