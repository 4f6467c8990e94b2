/** Networks are changed by one toybox at a time. */
import { mkdir } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { type FileLock, releaseLock, tryLockFile } from "../state-file.ts"

const PATIENCE = 20_000

/** Has one process at a time change networks. */
export function withNetworksLocked<T>(paths: Paths, action: () => T): T {
  for (const path of [paths.networks, paths.networkRun]) mkdir(path, 0o700)
  const deadline = Date.now() + PATIENCE
  const tryLock = () => tryLockFile(`${paths.networkRun}/lock`)
  let lock: FileLock | null
  for (lock = tryLock(); lock === null; lock = tryLock()) {
    if (Date.now() > deadline) throw new ToyboxError("another toybox has been changing networks for 20 s")
    Bun.sleepSync(2)
  }
  try {
    return action()
  } finally {
    releaseLock(lock)
  }
}
