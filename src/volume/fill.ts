/** What an image has where a volume comes to be is copied into it, once, as docker and podman do. */
import { O_RDWR } from "../../ffi/constants/fcntl.ts"
import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, exists, open, stat, writeAll } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import { lockOpened, releaseLock } from "../state-file.ts"
import { freshMark } from "./volume.ts"

const WAIT = 20

/** The right to fill a volume; null when another has just filled it, or it never was empty. */
async function takeFresh(path: string) {
  while (exists(path)) {
    try {
      const lock = lockOpened(open(path, O_RDWR), path)
      if (lock) return lock
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error
    }
    await Bun.sleep(WAIT)
  }
  return null
}

/** Of an empty directory there are the owner and mode only: they count once, for containers change them. */
const isToCopy = (from: string, mark: number): boolean =>
  listDir(from).length > 0 || stat(`/proc/self/fd/${mark}`)?.size === 0

/**
 * Copies the directory `from` into a volume that was never filled and that nobody has put anything into, also where that is a
 * directory of the host; null: there is nothing to copy. Whoever else is about to use it waits. The volume is held
 * (holdVolume). Throws ToyboxError.
 */
export async function fillVolume(paths: Paths, name: string, from: string | null): Promise<void> {
  const lock = await takeFresh(freshMark(paths, name))
  if (lock === null) return
  let filled = false
  try {
    const { fillIn } = await import("./fill-in.ts")
    const isWanted = from !== null && isToCopy(from, lock.fd)
    filled = fillIn(paths, name, isWanted ? from : null)
    if (isWanted && !filled) writeAll(lock.fd, Uint8Array.of(0x2e))
  } finally {
    if (filled) releaseLock(lock)
    // The next one tries again.
    else close(lock.fd)
  }
}
