/**
 * A container that toybox lets stand still for a moment: the file "still" is in its directory meanwhile, locked, so that whoever looks
 * waits, and the next command lets it go on where a toybox was killed. Who pauses one for himself makes none.
 */
import { O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { exists, open } from "../../../ffi/fs.ts"
import { openCgroup } from "../../cgroup/manager.ts"
import type { CgroupHandle } from "../../cgroup/plan.ts"
import { type FileLock, lockOpened, releaseLock, tryLockFile } from "../../state-file.ts"

const PATIENCE = 10_000
const LOOK_EVERY = 2

const markIn = (directory: string) => `${directory}/still`

/** Null where there is no such file (any more). */
function ifThere<Result>(act: () => Result): Result | null {
  try {
    return act()
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error
    return null
  }
}

/** Locks the mark of a container, which then stands still for nobody else; null where it is gone, or another keeps it for long. */
function takeMark(directory: string): FileLock | null {
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; Bun.sleepSync(LOOK_EVERY)) {
    const lock = ifThere(() => tryLockFile(markIn(directory)))
    if (lock !== null || !exists(directory)) return lock
  }
  return null
}

/** Lets a container stand still; null where somebody has paused it, or it is gone. What is returned goes to endStill. */
export function beginStill(directory: string, cgroup: CgroupHandle): FileLock | null {
  const manager = openCgroup(cgroup)
  // First, for with a mark beside it others would take that for toybox's own doing, and let it go on.
  const lock = isPaused(directory, cgroup) ? null : takeMark(directory)
  if (lock === null) return null
  let stands = false
  try {
    if (manager.isFrozen()) return null
    manager.freeze()
    stands = true
    return lock
  } finally {
    if (!stands) releaseLock(lock)
  }
}

/** Pauses a container, so that no toybox for which it stands still lets it go on. False where that is so already. */
export function pause(directory: string, cgroup: CgroupHandle): boolean {
  const lock = beginStill(directory, cgroup)
  if (lock) releaseLock(lock)
  return lock !== null
}

/** Lets it go on, unless somebody has done so meanwhile. */
export function endStill(cgroup: CgroupHandle, lock: FileLock): void {
  const manager = openCgroup(cgroup)
  if (manager.isFrozen()) manager.thaw()
  releaseLock(lock)
}

/** Lets a container go on where a toybox was killed that had it stand still; false where none has it stand still. */
export function endLeft(directory: string, cgroup: CgroupHandle): boolean {
  const path = markIn(directory)
  const fd = ifThere(() => open(path, O_RDWR))
  if (fd === null) return false
  const left = lockOpened(fd, path)
  if (left) endStill(cgroup, left)
  return true
}

/** Whether somebody has paused a container for himself: one that only stands still is waited for. */
export function isPaused(directory: string, cgroup: CgroupHandle): boolean {
  const manager = openCgroup(cgroup)
  for (const deadline = performance.now() + PATIENCE; manager.isFrozen(); Bun.sleepSync(LOOK_EVERY))
    if (performance.now() > deadline || !endLeft(directory, cgroup)) return manager.isFrozen()
  return false
}
