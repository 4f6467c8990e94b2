/**
 * A container that stands still while toybox reads it, and goes on afterwards: running/.ID.still is there meanwhile, locked, so
 * that the next toybox lets it go on where this one was killed. Who pauses one for himself makes none.
 */
import { O_RDWR } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { exists, open } from "../../ffi/fs.ts"
import { openCgroup } from "../cgroup/manager.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { type FileLock, lockOpened, releaseLock, tryLockFile } from "../state-file.ts"
import { recordEvents } from "./events.ts"
import { isAlive, type RunningRecord, readHead, readRunning } from "./state.ts"

const PATIENCE = 10_000
const LOOK_EVERY = 5
const MARK = /^\.([0-9a-f]{64})\.still$/

/** Whose standstill a name among the running ones is of; null where it is of none. */
export const stillId = (name: string): string | null => MARK.exec(name)?.[1] ?? null

/** Whether somebody, toybox or its user, lets a container that runs stand still. */
export const isPaused = ({ cgroup }: Pick<RunningRecord, "cgroup">): boolean =>
  cgroup !== null && openCgroup(cgroup).isFrozen()

const markOf = (paths: Paths, id: string) => `${paths.running}/.${id}.still`

/** Whether a toybox lets it stand still, or was killed doing so. */
const standsStill = (paths: Paths, id: string): boolean => exists(markOf(paths, id))

/** Whether its user has paused a container: one that toybox itself lets stand still is waited for, for up to ten seconds. */
export function isLeftPaused(paths: Paths, id: string, running: RunningRecord): boolean {
  for (const deadline = performance.now() + PATIENCE; isPaused(running); Bun.sleepSync(LOOK_EVERY))
    // It goes on before the mark goes.
    if (!standsStill(paths, id) || performance.now() > deadline) return isPaused(running)
  return false
}

/**
 * Does something while no toybox lets a container stand still, which would let it go on afterwards; one that does is waited for.
 * Throws ToyboxError where that takes ten seconds.
 */
export function whileNotStill(paths: Paths, id: string, act: () => void): void {
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; Bun.sleepSync(LOOK_EVERY)) {
    const lock = tryLockFile(markOf(paths, id))
    if (lock === null) continue
    try {
      act()
    } finally {
      releaseLock(lock)
    }
    return
  }
  throw new ToyboxError("another toybox lets the container stand still, as for a commit", { hint: "try again later" })
}

/** Lets a container stand still; null where it does already, or does not run. What is returned goes to endStandstill. */
export function beginStandstill(paths: Paths, id: string): FileLock | null {
  const running = readRunning(paths, id)
  // A mark beside one that its user has paused would have others let it go on.
  if (!running?.cgroup || !isAlive(running) || isPaused(running)) return null
  const lock = tryLockFile(markOf(paths, id))
  if (lock === null) return null
  let stands = false
  try {
    // Its user may have just done so.
    if (isPaused(running)) return null
    openCgroup(running.cgroup).freeze()
    stands = true
  } finally {
    if (!stands) releaseLock(lock)
  }
  const head = readHead(paths, id)
  if (head) recordEvents(paths, head, ["pause"])
  return lock
}

/** Lets it go on, unless somebody has done so meanwhile, or it has ended. */
export function endStandstill(paths: Paths, id: string, lock: FileLock): void {
  const running = readRunning(paths, id)
  const head = readHead(paths, id)
  if (running?.cgroup && isAlive(running) && isPaused(running)) {
    openCgroup(running.cgroup).thaw()
    if (head) recordEvents(paths, head, ["unpause"])
  }
  releaseLock(lock)
}

/** The same for a toybox that was killed. */
export function recoverStandstill(paths: Paths, id: string): void {
  const path = markOf(paths, id)
  try {
    const lock = lockOpened(open(path, O_RDWR), path)
    if (lock) endStandstill(paths, id, lock)
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error
  }
}
