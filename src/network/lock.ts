/** Networks are changed by one toybox at a time. */
import { mkdir } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { type FileLock, releaseLock, tryLockFile } from "../state-file.ts"

const PATIENCE = 20_000

/** Networks are one process's to change, until it gives the lock back. Throws ToyboxError. */
const lockNetworks = (paths: Paths): FileLock => lock(paths, "lock")

/** Which networks a container is in is one process's to change. Before lockNetworks, where both are needed. Throws ToyboxError. */
export const lockPlaces = (paths: Paths): FileLock => lock(paths, "places")

function lock(paths: Paths, name: string): FileLock {
  for (const path of [paths.networks, paths.networkRun]) mkdir(path, 0o700)
  const deadline = performance.now() + PATIENCE
  const tryLock = () => tryLockFile(`${paths.networkRun}/${name}`)
  for (let found = tryLock(); ; found = tryLock()) {
    if (found) return found
    if (performance.now() > deadline) throw new ToyboxError("another toybox has been changing networks for 20 s")
    Bun.sleepSync(2)
  }
}

/** Has one process at a time change networks. */
export function withNetworksLocked<T>(paths: Paths, action: () => T): T {
  const held = lockNetworks(paths)
  try {
    return action()
  } finally {
    releaseLock(held)
  }
}
