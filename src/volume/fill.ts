/** What an image has where a volume comes to be is copied into it, once, as docker and podman do. */
import { O_RDWR } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, exists, listDir, open, readLink, rename } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import type { Paths } from "../paths.ts"
import { lockOpened, releaseLock } from "../state-file.ts"
import { freshMark, volumeData } from "./volume.ts"

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

/**
 * Copies the directory `from` into a volume that no container has used and nobody has put anything into, also where that is
 * a directory of the host; null: there is nothing to copy. Whoever else is about to use it waits. What a killed toybox has copied is of no account. The volume is held
 * (holdVolume). Throws ToyboxError.
 */
export async function fillVolume(paths: Paths, name: string, from: string | null): Promise<void> {
  const lock = await takeFresh(freshMark(paths, name))
  if (lock === null) return
  const data = volumeData(paths, name)
  const copy = `${data}.new`
  let done = false
  try {
    removeTree(copy)
    if (readLink(data) !== null) {
      const { fillBound } = await import("./fill-bound.ts")
      fillBound(data, name, from)
    } else if (from !== null && listDir(data).length === 0) {
      const { copyTree } = await import("../overlay/copy.ts")
      copyTree(from, copy)
      rename(copy, data)
    }
    done = true
  } finally {
    if (done) releaseLock(lock)
    else {
      removeTree(copy)
      close(lock.fd)
    }
  }
}
