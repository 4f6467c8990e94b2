/** Unpacking before a run, which a signal ends. */
import { SIGHUP, SIGINT, SIGQUIT, SIGTERM } from "../../ffi/constants/signal.ts"
import { readSignals } from "../../ffi/signal.ts"
import { ToyboxError } from "../errors.ts"
import { ensureArchive } from "../image/archive.ts"
import type { ArchiveSource } from "../image/source.ts"
import type { Paths } from "../paths.ts"

const ENDING = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]
const LOOK_EVERY = 100

/** Does something that a signal ends; `signalFd` is of takeSignals. Such an end is exit 128+n. */
export async function untilSignal<T>(
  what: string,
  signalFd: number,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const timer = setInterval(() => {
    const signal = readSignals(signalFd).find((signal) => ENDING.includes(signal))
    if (signal === undefined) return
    abort.abort(new ToyboxError(`${what}: interrupted`, { exitCode: 128 + signal }))
  }, LOOK_EVERY)
  try {
    return await action(abort.signal)
  } finally {
    clearInterval(timer)
  }
}

/** The root of an archive, fetched and unpacked if need be; a signal gives up. */
export const unpackedRoot = (archive: ArchiveSource, paths: Paths, quiet: boolean, signalFd: number): Promise<string> =>
  untilSignal(archive.name, signalFd, (signal) => ensureArchive(archive, paths, { quiet, signal }))
