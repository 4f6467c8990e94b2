/**
 * Files through libc, for the start path: importing node:fs costs more than a container's mounts.
 * Paths are the host's; inside a container's root use openInRoot of mount.ts.
 */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "./call.ts"
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from "./constants/fcntl.ts"
import { S_IFDIR, S_IFMT, STATX_BASIC_STATS } from "./constants/stat.ts"
import { isErrno } from "./errno.ts"

const decoder = new TextDecoder()
const encoder = new TextEncoder()
const ENOENT = -2
const EINTR = -4
const EEXIST = -17
const ENOTDIR = -20

/** open(2), close-on-exec. */
export function open(path: string, flags: number, mode = 0): number {
  return call("openat", AT_FDCWD, path, flags | O_CLOEXEC, mode)
}

/** close(2); an error of it tells nothing that could be acted upon. */
export function close(fd: number): void {
  callResult("close", fd)
}

/** read(2) of up to 64 KiB; a copy. Empty at the end of the file. EINTR is retried. */
export function read(fd: number, length = SCRATCH_SIZE): Uint8Array {
  let count: number
  do count = callResult("read", fd, scratch.address, Math.min(length, SCRATCH_SIZE))
  while (count === EINTR)
  if (count < 0) throw failure("read", count, fd)
  return scratch.bytes.slice(0, count)
}

/** Everything up to the end of the file, or up to `limit` bytes. */
export function readAll(fd: number, limit = Number.MAX_SAFE_INTEGER): Uint8Array {
  const parts: Uint8Array[] = []
  let size = 0
  while (size < limit) {
    const part = read(fd, limit - size)
    if (part.length === 0) break
    parts.push(part)
    size += part.length
  }
  if (parts.length === 1) return parts[0] as Uint8Array
  const whole = new Uint8Array(size)
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}

/** write(2) until all is written. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let position = 0; position < bytes.length; ) {
    // Goes through the arena of single calls, which is small.
    const part = bytes.subarray(position, position + 65536)
    const count = callResult("write", fd, part, part.length)
    if (count === EINTR) continue
    if (count < 0) throw failure("write", count, readLink(`/proc/self/fd/${fd}`) ?? fd, part.length)
    position += count
  }
}

function readOpened(fd: number): string {
  try {
    return decoder.decode(readAll(fd))
  } finally {
    close(fd)
  }
}

/** The text of a file. Throws SyscallError. */
export const readText = (path: string): string => readOpened(open(path, O_RDONLY))

/** The text of a file, or null where there is none; procfs has ESRCH, cgroupfs ENODEV for what went meanwhile. */
export function tryReadText(path: string): string | null {
  const fd = callResult("openat", AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
  // So it is often, and an error takes longer to make than the call.
  if (fd === ENOENT) return null
  try {
    if (fd < 0) throw failure("openat", fd, AT_FDCWD, path)
    return readOpened(fd)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ESRCH", "ENODEV")) return null
    throw error
  }
}

/** The text of a regular file, maybe named from an open directory; null where there is none. Its first short read(2) is the last. */
export function tryReadRegular(path: string, directory = AT_FDCWD): string | null {
  const fd = callResult("openat", directory, path, O_RDONLY | O_CLOEXEC, 0)
  if (fd === ENOENT || fd === ENOTDIR) return null
  if (fd < 0) throw failure("open", fd, path)
  try {
    const count = callResult("read", fd, scratch.address, SCRATCH_SIZE)
    if (count >= 0 && count < SCRATCH_SIZE) return decoder.decode(scratch.bytes.subarray(0, count))
    call("lseek", fd, 0, 0)
    return decoder.decode(readAll(fd))
  } finally {
    close(fd)
  }
}

/** Writes `text` to an existing file (of procfs, cgroupfs) in one write(2). */
export function writeText(path: string, text: string): void {
  const fd = open(path, O_WRONLY)
  try {
    const bytes = encoder.encode(text)
    const count = callResult("write", fd, bytes, bytes.length)
    if (count < 0) throw failure("write", count, path, text)
  } finally {
    close(fd)
  }
}

/** Creates or replaces a file. */
export function writeFile(path: string, content: string | Uint8Array, mode = 0o600, flags = O_CREAT | O_TRUNC): void {
  const fd = open(path, O_WRONLY | O_NOFOLLOW | flags, mode)
  try {
    writeAll(fd, typeof content === "string" ? encoder.encode(content) : content)
  } finally {
    close(fd)
  }
}

/** Replaces a file so that a reader, or a kill at any instant, sees the old or the new content. */
export function replaceFile(path: string, content: string, mode = 0o600): void {
  // Two may write the same at once.
  const temporary = `${path}.${process.pid}.new`
  try {
    writeFile(temporary, content, mode)
    rename(temporary, path)
  } catch (error) {
    // Half of one, on a full disk.
    unlink(temporary)
    throw error
  }
}

/** False where the name was taken. */
function isNew(result: number, syscall: string, ...paths: string[]): boolean {
  if (result < 0 && result !== EEXIST) throw failure(syscall, result, ...paths)
  return result === 0
}

/** mkdir(2); false where it existed. */
export const mkdir = (path: string, mode = 0o777): boolean =>
  isNew(callResult("mkdirat", AT_FDCWD, path, mode), "mkdir", path)

/** Makes a directory and those above it. */
export function mkdirAll(path: string, mode = 0o777): void {
  const result = callResult("mkdirat", AT_FDCWD, path, mode)
  if (result === ENOENT) {
    mkdirAll(path.slice(0, path.lastIndexOf("/")) || "/", mode)
    mkdir(path, mode)
  } else if (result < 0 && result !== EEXIST) {
    throw failure("mkdir", result, path)
  }
}

/** rmdir(2). */
export const rmdir = (path: string): void => void call("unlinkat", AT_FDCWD, path, AT_REMOVEDIR)

/** unlink(2); false where there was nothing. */
export function unlink(path: string): boolean {
  const result = callResult("unlinkat", AT_FDCWD, path, 0)
  if (result < 0 && result !== ENOENT) throw failure("unlink", result, path)
  return result === 0
}

/** rename(2). */
export const rename = (from: string, to: string): void => void call("renameat", AT_FDCWD, from, AT_FDCWD, to)

/** link(2); false where the name was taken. */
export const link = (existing: string, path: string): boolean =>
  isNew(callResult("linkat", AT_FDCWD, existing, AT_FDCWD, path, 0), "link", existing, path)

/** symlink(2); false where the name was taken. */
export const symlink = (target: string, path: string): boolean =>
  isNew(callResult("symlinkat", target, AT_FDCWD, path), "symlink", target, path)

/** readlink(2), or null where there is no symlink. */
export function readLink(path: string): string | null {
  const result = callResult("readlinkat", AT_FDCWD, path, scratch.address, SCRATCH_SIZE)
  if (result < 0) return null
  return decoder.decode(scratch.bytes.subarray(0, result))
}

/** Whether there is a symlink, wherever it leads. */
export const isLink = (path: string): boolean => callResult("readlinkat", AT_FDCWD, path, scratch.address, 1) >= 0

/** access(2) F_OK. */
export const exists = (path: string): boolean => callResult("access", path, 0) === 0

/** What stat(2) tells; times in milliseconds. */
export interface Stat {
  mode: number
  uid: number
  gid: number
  nlink: number
  size: number
  ino: number
  mtime: number
  dev: string
  rdevMajor: number
  rdevMinor: number
}

/** statx(2) by path (and directory fd); null where there is nothing. */
export function stat(path: string | Uint8Array, flags = 0, dirFd = AT_FDCWD): Stat | null {
  const result = callResult("statx", dirFd, path, flags, STATX_BASIC_STATS, scratch.address)
  if (result === ENOENT || result === ENOTDIR) return null
  if (result < 0) throw failure("stat", result, path)
  return {
    nlink: scratch.u32(16),
    uid: scratch.u32(20),
    gid: scratch.u32(24),
    mode: scratch.u16(28),
    ino: scratch.word(32),
    size: scratch.word(40),
    mtime: scratch.word(112) * 1000 + Math.floor(scratch.u32(120) / 1e6),
    rdevMajor: scratch.u32(128),
    rdevMinor: scratch.u32(132),
    dev: `${scratch.u32(136)}:${scratch.u32(140)}`,
  }
}

/** As stat, of a symlink itself. */
export const lstat = (path: string | Uint8Array, dirFd = AT_FDCWD) => stat(path, AT_SYMLINK_NOFOLLOW, dirFd)

/** Whether a stat is a directory's. */
export const isDirectory = (stat: Stat | null): boolean => stat !== null && (stat.mode & S_IFMT) === S_IFDIR

/** Creates a file that must not exist yet; null where it does. Returns the open fd. */
export function createExclusive(path: string, mode = 0o600): number | null {
  const fd = callResult("openat", AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
  if (fd === EEXIST) return null
  if (fd < 0) throw failure("open", fd, path)
  return fd
}
