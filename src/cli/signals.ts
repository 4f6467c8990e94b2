/** Signals that end what a command is doing. */
import { isIgnored } from "../../ffi/signal.ts"
import { ToyboxError } from "../errors.ts"

const ENDING = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** Aborted by a signal, with an error for it: exit 128+n. */
export function untilEnded(what: string): AbortSignal {
  const abort = new AbortController()
  for (const [signal, number] of Object.entries(ENDING)) {
    // As nohup(1) does it.
    if (number === ENDING.SIGHUP && isIgnored(number)) continue
    process.once(signal, () => abort.abort(new ToyboxError(`${what}: interrupted`, { exitCode: 128 + number })))
  }
  return abort.signal
}
