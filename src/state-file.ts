/** Files of the state directory: read as JSON, replaced for good, and locked by open files, which the kernel gives up. */
import { call } from "../ffi/call.ts"
import { O_CREAT, O_RDWR } from "../ffi/constants/fcntl.ts"
import { isErrno } from "../ffi/errno.ts"
import {
  close,
  createExclusive,
  exists,
  mkdirAll,
  open,
  readText,
  rename,
  stat,
  tryReadRegular,
  unlink,
  writeAll,
} from "../ffi/fs.ts"
import { tryLock } from "../ffi/lock.ts"
import { removeTree } from "../ffi/remove-tree.ts"
import { ToyboxError } from "./errors.ts"

/** What a file holds; null where there is none, or half of one, as of parseJson. Throws SyscallError. */
export function readJson<T>(path: string): T | null {
  const text = tryReadRegular(path)
  return text === null ? null : parseJson(text)
}

/** What the text of a file says; null where it is half of one: a power cut has left a file without its content. */
export function parseJson<T>(text: string): T | null {
  try {
    return JSON.parse(text) as T
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return null
  }
}

/** Writes a file, closed to others, so that it is there whole, and stays after a power cut, or is not there. */
export const writeDurably = (path: string, bytes: Uint8Array): void => replaceFile(path, bytes, true)

/** The same for what may be lost, or be empty, after a power cut: fsync(2) waits for much that others have written. */
export const writeAtOnce = (path: string, bytes: Uint8Array): void => replaceFile(path, bytes, false)

function replaceFile(path: string, bytes: Uint8Array, durable: boolean): void {
  mkdirAll(path.slice(0, path.lastIndexOf("/")), 0o700)
  // Two may write the same at once.
  const temporary = `${path}.${process.pid}.new`
  unlink(temporary)
  const fd = createExclusive(temporary)
  if (fd === null) throw new ToyboxError(`${temporary} is being written by another process`)
  try {
    writeAll(fd, bytes)
    if (durable) call("fsync", fd)
    rename(temporary, path)
  } catch (error) {
    unlink(temporary)
    throw error
  } finally {
    close(fd)
  }
}

/** Removes the file if it is what a killed writeDurably has left. */
export function removeHalfWritten(path: string): void {
  const writer = /\.(\d+)\.new$/.exec(path)?.[1]
  if (writer !== undefined && !exists(`/proc/${writer}`)) unlink(path)
}

/**
 * Removes `name` in a directory if it is what a killed command was making or removing there: ".NAME.PID". Others may be at it:
 * who renames it has it.
 */
export function removeLeftOver(directory: string, name: string): void {
  const [, beginning, pid] = /^(\..+)\.(\d+)$/.exec(name) ?? []
  if (pid === undefined || exists(`/proc/${pid}`)) return
  const own = `${directory}/${beginning}.${process.pid}`
  try {
    rename(`${directory}/${name}`, own)
  } catch (error) {
    // The last two: a predecessor had the same number; another command will find both.
    if (isErrno(error, "ENOENT", "ENOTEMPTY", "EEXIST")) return
    throw error
  }
  removeTree(own)
}

/** Another one each time the machine is started: random(4). */
export const bootId = (): string => readText("/proc/sys/kernel/random/boot_id").trim()

/** A right that one process has at a time: an open file, locked by flock(2). */
export interface FileLock {
  fd: number
  path: string
}

/** Locks the open file at `path` without waiting. Null, and closed, where another has it or it was removed: that is nobody's. */
export function lockOpened(fd: number, path: string): FileLock | null {
  if (tryLock(fd) && (stat(`/proc/self/fd/${fd}`)?.nlink ?? 0) > 0) return { fd, path }
  close(fd)
  return null
}

/** Makes and locks a file. Null where another process has it. */
export const tryLockFile = (path: string): FileLock | null => lockOpened(open(path, O_RDWR | O_CREAT, 0o600), path)

/** Gives it back. The file goes first: a lock without a file is nobody's. */
export function releaseLock({ fd, path }: FileLock): void {
  unlink(path)
  close(fd)
}
