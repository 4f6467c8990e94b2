/** Entering containers among the running ones, and how they leave on a full disk. */
import { callResult, failure } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, createExclusive, link, unlink, writeAll } from "../../ffi/fs.ts"
import { tryLock } from "../../ffi/lock.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import type { FileLock } from "../state-file.ts"
import {
  type ContainerResult,
  containerPath,
  encodeRunning,
  lockDead,
  type RunningRecord,
  readEntry,
  readHead,
  runningPath,
  updateRunning,
  writeResult,
} from "./state.ts"

// Room for all that may come to be known of it.
const LEAST = 4096
const RENAME_NOREPLACE = 1
const EEXIST = -17

const isFull = (error: unknown): boolean => isErrno(error, "ENOSPC", "EDQUOT", "EROFS")

/**
 * Enters a container among the running ones; null where it is there already, be it running, being started or being removed.
 * It appears locked, so that nobody takes it for a dead one's. A removal does not fail for want of room, which it makes.
 */
export function enterRunning(paths: Paths, id: string, record: RunningRecord): FileLock | null {
  try {
    return enterNew(paths, id, record) ?? takeEnded(paths, id, record)
  } catch (error) {
    if (!(record.removing && isErrno(error, "ENOSPC", "EDQUOT"))) throw error
    return enterHead(paths, id, record)
  }
}

/** The same with a file of its own, for which, and for whose second name, a disk must have room. */
function enterNew(paths: Paths, id: string, record: RunningRecord): FileLock | null {
  const path = runningPath(paths, id)
  const temporary = `${paths.running}/.${id}.${process.pid}`
  const fd = createExclusive(temporary)
  if (fd === null) throw new ToyboxError(`container ${id} is being started already`)
  let entered = false
  try {
    tryLock(fd)
    try {
      writeAll(fd, encodeRunning(record, LEAST))
    } catch (error) {
      if (!(record.removing && isFull(error))) throw error
    }
    entered = link(temporary, path)
  } finally {
    unlink(temporary)
    if (!entered) close(fd)
  }
  return entered ? { fd, path } : null
}

/**
 * Enters a container that is to be removed on a disk that has room for no more files, not even an empty one: the file of its head
 * becomes its entry, and goes with it: rename(2).
 */
function enterHead(paths: Paths, id: string, record: RunningRecord): FileLock | null {
  const path = runningPath(paths, id)
  const headPath = `${containerPath(paths, id)}/container.json`
  const head = readHead(paths, id)
  const fd = callResult("openat", AT_FDCWD, headPath, O_RDWR | O_CLOEXEC, 0)
  if (fd >= 0 && tryLock(fd)) {
    const result = callResult("renameat2", AT_FDCWD, headPath, AT_FDCWD, path, RENAME_NOREPLACE)
    if (result < 0 && result !== EEXIST) throw failure("renameat2", result, headPath, path)
    if (result === 0) {
      updateRunning({ fd, path }, { ...head, ...record })
      return { fd, path }
    }
  }
  if (fd >= 0) close(fd)
  return takeEnded(paths, id, record)
}

/** Takes the entry of one whose end could not be written down, for its removal; null for any other. */
function takeEnded(paths: Paths, id: string, record: RunningRecord): FileLock | null {
  if (!readEntry(paths, id)?.ended) return null
  if (!record.removing)
    throw new ToyboxError(`how container ${id.slice(0, 12)} ended is not written down yet: the disk is full`, {
      hint: "make room: toybox df tells what takes it, toybox prune removes what is not used",
    })
  const lock = lockDead(paths, id)
  if (lock && readEntry(paths, id)?.ended) {
    updateRunning(lock, record)
    return lock
  }
  if (lock) close(lock.fd)
  return null
}

/**
 * Writes down how one has ended, by who has the lock of its entry. A full disk takes a result from nobody: the entry, which has
 * the room, keeps it then. False then: what is left to be done about it ends with leaveEnded.
 */
export function keepResult(
  paths: Paths,
  id: string,
  lock: FileLock,
  record: RunningRecord,
  result: ContainerResult,
): boolean {
  try {
    writeResult(paths, id, result)
    return true
  } catch (error) {
    if (!isFull(error)) throw error
  }
  updateRunning(lock, { ...record, ended: result })
  return false
}

/** Nothing is left of it but its result, which stays in its entry for the next toybox to write down (recover.ts). */
export function leaveEnded(lock: FileLock, name: string, ended: ContainerResult): void {
  updateRunning(lock, {
    pid: 0,
    startTime: "",
    started: ended.started ?? "",
    autoRemove: false,
    name,
    cgroup: null,
    ended,
  })
  close(lock.fd)
}
