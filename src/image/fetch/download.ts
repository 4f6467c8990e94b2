/** A file from an address, to the last byte: broken transfers are resumed, busy servers asked again. */
import { ToyboxError } from "../../errors.ts"
import { type Answer, type ExchangeOptions, exchange } from "./exchange.ts"
import { ChangedError, PassingError, statusError } from "./failure.ts"
import {
  conditionalHeaders,
  contentLength,
  parseContentRange,
  strongValidator,
  type Validators,
  validatorsOf,
} from "./range.ts"
import { backOff, DEFAULT_PATIENCE, isPassing, type Patience, retryAfter, sleep } from "./retry.ts"

export interface DownloadOptions extends Omit<ExchangeOptions, "method" | "body"> {
  /** The file is wanted only if it is not the one they are of. */
  known?: Validators
  /** Hears why, and for how long, is waited. */
  notice?: (text: string) => void
}

export interface Download {
  /** Bytes; null where the server does not say. */
  size: number | null
  /**
   * The file's bytes, each once and in order. Throws ChangedError where the file is not the same any more, other
   * ToyboxErrors where it cannot be had.
   */
  bytes: AsyncGenerator<Uint8Array, void, undefined>
  /** SHA-256 of what `bytes` has given so far, in hexadecimal digits. */
  sha256(): string
  /** What the server told of the file that `bytes` is giving. */
  validators(): Validators
  /** Ends a download whose `bytes` are not read. */
  cancel(): void
}

// However little each try brings, there is an end.
const MOST_FAILURES = 200

/** Counts failures, and waits after each. */
class Attempts {
  private failures = 0
  private all = 0
  private readonly patience: Patience
  private readonly options: DownloadOptions

  constructor(options: DownloadOptions) {
    this.patience = options.patience ?? DEFAULT_PATIENCE
    this.options = options
  }

  /** Something has come: the next failure is a first one. */
  progress(): void {
    this.failures = 0
  }

  /** Waits before the next try; throws `error` itself where there is none. */
  async pause(error: unknown): Promise<void> {
    if (!(error instanceof PassingError) || !error.soon || this.options.signal?.aborted) throw error
    this.failures++
    this.all++
    if (this.failures >= this.patience.attempts || this.all >= MOST_FAILURES) throw error
    const asked = error.retryAfter
    if (asked !== null && asked > this.patience.longestPause) {
      throw new ToyboxError(`${error.message}, and asks to come again in ${Math.ceil(asked / 1000)} s`, {
        cause: error.cause,
      })
    }
    const wait = Math.max(asked ?? 0, backOff(this.failures, this.patience))
    this.options.notice?.(`${error.message}; trying again${wait >= 1000 ? ` in ${Math.round(wait / 1000)} s` : ""}`)
    await sleep(wait, this.options.signal)
  }
}

/** One of the statuses `wanted`, asked for until it comes. */
async function ask(
  url: URL,
  options: DownloadOptions,
  headers: Headers,
  wanted: readonly number[],
  attempts: Attempts,
): Promise<Answer> {
  for (;;) {
    try {
      const answer = await exchange(url, { ...options, headers })
      if (wanted.includes(answer.status)) return answer
      answer.cancel()
      const wait = retryAfter(answer.headers.get("retry-after"))
      throw statusError(answer.status, answer.url, isPassing(answer.status), wait)
    } catch (error) {
      await attempts.pause(error)
    }
  }
}

/** Reads past the part that has been read already, and checks that it is the same. Returns what follows of the last piece. */
async function skip(body: Answer["body"], count: number, expected: string, changed: () => Error): Promise<Uint8Array> {
  const hasher = new Bun.CryptoHasher("sha256")
  for (let position = 0; position < count; ) {
    const { value, done } = await body.next()
    if (done) throw changed()
    const part = value.subarray(0, count - position)
    hasher.update(part)
    position += part.length
    if (position < count) continue
    if (hasher.digest("hex") !== expected) throw changed()
    return value.subarray(part.length)
  }
  return new Uint8Array()
}

/**
 * Starts a download: waits for the head of the answer. Null where the file is the `known` one. Throws PassingError where
 * the server cannot be had, other ToyboxErrors where it will not give the file.
 */
export async function download(url: URL, options: DownloadOptions): Promise<Download | null> {
  const attempts = new Attempts(options)
  const headers = new Headers(options.headers)
  const { known } = options
  for (const [name, value] of Object.entries(known ? conditionalHeaders(known) : {})) headers.set(name, value)
  const first = await ask(url, options, headers, known ? [200, 304] : [200], attempts)
  if (first.status === 304) {
    first.cancel()
    return null
  }
  const size = contentLength(first.headers)
  let told = first.headers
  const hasher = new Bun.CryptoHasher("sha256")
  const changed = () =>
    new ChangedError(`${url.host}: the file changed while it was being fetched`, { hint: "try again" })

  /** The rest of the file from `position` on: one part that is there, and the answer that has the others. */
  const resume = async (position: number): Promise<[Uint8Array, Answer]> => {
    const headers = new Headers(options.headers)
    const validator = strongValidator(told)
    if (validator !== null) {
      headers.set("range", `bytes=${position}-`)
      headers.set("if-range", validator)
    }
    const answer = await ask(url, options, headers, [200, 206, 416], attempts)
    try {
      if (answer.status === 416) throw changed()
      if (answer.status === 206) {
        // Some servers know Range and not If-Range.
        const etag = answer.headers.get("etag")
        if (etag !== null && etag !== told.get("etag")) throw changed()
        const range = parseContentRange(answer.headers.get("content-range"))
        if (range?.start !== position || (size !== null && range.total !== null && range.total !== size))
          throw new ToyboxError(`${answer.url.host} gives another part of the file than was asked for`)
        return [new Uint8Array(), answer]
      }
      // No ranges here, or another state of the file. Where all that was read comes again it is as good as a range.
      const length = contentLength(answer.headers)
      if (size !== null && length !== null && length !== size) throw changed()
      const part = await skip(answer.body, position, hasher.copy().digest("hex"), changed)
      told = answer.headers
      return [part, answer]
    } catch (error) {
      answer.cancel()
      throw error
    }
  }

  let answer = first
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    let position = 0
    let part: Uint8Array = new Uint8Array()
    let broken = false
    try {
      for (;;) {
        try {
          if (broken) [part, answer] = await resume(position)
          broken = false
          for (;;) {
            if (part.length > 0) {
              hasher.update(part)
              position += part.length
              if (size !== null && position > size) throw changed()
              attempts.progress()
              yield part
            }
            const { value, done } = await answer.body.next()
            if (done) break
            part = value
          }
          if (size === null || position === size) return
          throw new PassingError(`${url.host} has sent ${position} bytes of ${size}`)
        } catch (error) {
          // The whole file is here, whatever happened to the connection then.
          if (position === size && error instanceof PassingError) return
          broken = true
          part = new Uint8Array()
          await attempts.pause(error)
        }
      }
    } finally {
      answer.cancel()
    }
  }
  return {
    size,
    bytes: bytes(),
    validators: () => validatorsOf(told),
    sha256: () => hasher.copy().digest("hex"),
    cancel: () => answer.cancel(),
  }
}
