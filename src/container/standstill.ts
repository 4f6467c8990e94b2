/**
 * A container that stands still while toybox reads it, and goes on afterwards: running/.ID.still is there meanwhile, locked, so
 * that the next toybox lets it go on where this one was killed. Who pauses one for himself makes none.
 */
import { O_RDWR } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { exists, open } from "../../ffi/fs.ts"
import { openCgroup } from "../cgroup/manager.ts"
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
export const standsStill = (paths: Paths, id: string): boolean => exists(markOf(paths, id))

/** Waits until a toybox that lets it stand still lets it go on; false where there is none, or it takes ten seconds. */
export async function goesOn(paths: Paths, id: string): Promise<boolean> {
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; await Bun.sleep(LOOK_EVERY)) {
    if (standsStill(paths, id)) continue
    const running = readRunning(paths, id)
    return running !== null && !isPaused(running)
  }
  return false
}

/** Lets a container stand still; null where it does already, or does not run. What is returned goes to endStandstill. */
export function beginStandstill(paths: Paths, id: string): FileLock | null {
  const running = readRunning(paths, id)
  if (!running?.cgroup || !isAlive(running) || isPaused(running)) return null
  const lock = tryLockFile(markOf(paths, id))
  if (lock === null) return null
  try {
    openCgroup(running.cgroup).freeze()
  } catch (error) {
    releaseLock(lock)
    throw error
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
