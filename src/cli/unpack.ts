/** Unpacking before a run, which a signal ends. */
import { SIGHUP, SIGINT, SIGQUIT, SIGTERM } from "../../ffi/constants/signal.ts"
import { readSignals } from "../../ffi/signal.ts"
import { ToyboxError } from "../errors.ts"
import { ensureArchive } from "../image/archive.ts"
import type { ArchiveSource } from "../image/source.ts"
import type { Paths } from "../paths.ts"

const ENDING = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]
const LOOK_EVERY = 100

/** The root of an archive, fetched and unpacked if need be. `signalFd` is of takeSignals: one that ends gives up, exit 128+n. */
export async function unpackedRoot(
  archive: ArchiveSource,
  paths: Paths,
  quiet: boolean,
  signalFd: number,
): Promise<string> {
  const abort = new AbortController()
  const timer = setInterval(() => {
    const signal = readSignals(signalFd).find((signal) => ENDING.includes(signal))
    if (signal === undefined) return
    abort.abort(new ToyboxError(`${archive.name}: interrupted`, { exitCode: 128 + signal }))
  }, LOOK_EVERY)
  try {
    return await ensureArchive(archive, paths, { quiet, signal: abort.signal })
  } finally {
    clearInterval(timer)
  }
}
