/** A full copy of a tree, as of a root where overlayfs is refused: every kind of file, owners, modes, times, xattrs, hard links, holes; layers as an overlay shows them. */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
} from "../../ffi/constants/fcntl.ts"
import { OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../ffi/constants/mount.ts"
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { listEntries } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, lstat, type Stat, stat } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { OPEN_HOW_SIZE, openHow } from "../../ffi/structs.ts"
import { ToyboxError } from "../errors.ts"
import { isOpaque, isOverlayAttribute, isWhiteout, pathIn } from "./whiteouts.ts"

/** Names need not be UTF-8: bytes, with the closing NUL. */
type Path = Uint8Array

const ENOENT = -2
const ENXIO = -6
// linux/limits.h, with the closing NUL.
const PATH_MAX = 4096
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const toPath = (text: string): Path => encoder.encode(`${text}\0`)

function join(directory: Path, name: Path): Path {
  if (directory.length === 1) return name
  const path = new Uint8Array(directory.length + name.length)
  path.set(directory)
  path[directory.length - 1] = 0x2f
  path.set(name, directory.length)
  return path
}

/** A directory of the copy: open, and its path from the top, by which files are found that get further names. */
interface Directory {
  fd: number
  path: Path
}

const TOP: Path = toPath("")

/** The path of what is open, of any kind. A link itself is not followed here: proc_pid_fd(5), open(2) "O_PATH". */
const opened = (fd: number): Path => toPath(`/proc/self/fd/${fd}`)

/** Gives what is open at `to` the attributes of what is open at `handle`; both may be of any kind. */
export function copyXattrs(handle: number, to: number): void {
  const from = opened(handle)
  const size = callResult("listxattr", from, scratch.address, SCRATCH_SIZE)
  if (size <= 0) return // None, or a file system without them.
  const attributes = decoder.decode(scratch.bytes.subarray(0, size)).split("\0")
  const path = opened(to)
  for (const attribute of attributes) {
    // What an overlay keeps for itself must not speak to the next one.
    if (attribute === "" || isOverlayAttribute(attribute)) continue
    const length = callResult("getxattr", from, attribute, scratch.address, SCRATCH_SIZE)
    if (length < 0) continue
    const value = scratch.bytes.slice(0, length)
    callResult("setxattr", path, attribute, value, length, 0)
  }
}

/** Copies what lies between the holes; where the file system knows none, all is data. */
function copyData(source: number, target: number, size: number): void {
  for (let position = 0; position < size; ) {
    const data = callResult("lseek", source, position, SEEK_DATA)
    if (data === ENXIO) break
    const end = data < 0 ? size : Math.min(size, call("lseek", source, data, SEEK_HOLE))
    position = data < 0 ? position : data
    call("lseek", source, position, SEEK_SET)
    call("lseek", target, position, SEEK_SET)
    while (position < end) {
      const count = call("sendfile", target, source, 0, end - position)
      if (count === 0) return // Shorter than it was.
      position += count
    }
  }
  call("ftruncate", target, size)
}

function copyFile(handle: number, to: Directory, name: Path, size: number): void {
  const source = call("openat", AT_FDCWD, opened(handle), O_RDONLY | O_CLOEXEC, 0)
  try {
    const target = call("openat", to.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    try {
      copyData(source, target, size)
    } finally {
      close(target)
    }
  } finally {
    close(source)
  }
}

function copyLink(handle: number, to: Directory, name: Path): void {
  const size = call("readlinkat", handle, "", scratch.address, SCRATCH_SIZE - 1)
  scratch.bytes[size] = 0
  call("symlinkat", scratch.bytes.slice(0, size + 1), to.fd, name)
}

const makedev = ({ rdevMajor: major, rdevMinor: minor }: Stat) =>
  (minor & 0xff) + (major & 0xfff) * 256 + Math.floor(minor / 256) * 2 ** 20

function setMetadata(handle: number, to: Directory, name: Path, stat: TimedStat): void {
  const own = call("openat", to.fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
  try {
    call("fchownat", own, "", stat.uid, stat.gid, AT_EMPTY_PATH)
    const isLink = (stat.mode & S_IFMT) === S_IFLNK
    // After the owner: chown(2) clears the setuid bit and file capabilities.
    if (!isLink) call("fchmodat", AT_FDCWD, opened(own), stat.mode & 0o7777, 0)
    copyXattrs(handle, own)
    const time = [[8, stat.seconds] as const, [8, stat.nanoseconds] as const]
    call("utimensat", AT_FDCWD, opened(own), struct(...time, ...time), 0)
  } finally {
    close(own)
  }
}

interface TimedStat extends Stat {
  seconds: number
  nanoseconds: number
}

function statOf(handle: number): TimedStat {
  const found = stat("", AT_EMPTY_PATH, handle)
  if (!found) throw new Error("statx of a descriptor has found nothing")
  // The memory still holds what the call has left: struct statx, stx_mtime; as a float it would lose the last digits.
  return { ...found, seconds: scratch.word(112), nanoseconds: scratch.u32(120) }
}

function remove({ fd }: Directory, name: Path, { mode }: Stat): void {
  if ((mode & S_IFMT) === S_IFDIR) removeTree(name, fd)
  else call("unlinkat", fd, name, 0)
}

function removeXattrs(path: Path): void {
  const size = callResult("llistxattr", path, scratch.address, SCRATCH_SIZE)
  const names = size > 0 ? decoder.decode(scratch.bytes.subarray(0, size)).split("\0") : []
  for (const name of names) if (name !== "") callResult("lremovexattr", path, name)
}

/** The directory that a copy goes to; true where it has files of the layers below. */
function enterDirectory(source: number, to: Directory, name: Path, there: Stat | null): boolean {
  const merges = there !== null && (there.mode & S_IFMT) === S_IFDIR && !isOpaque(source)
  if (merges) {
    // An overlay shows those of the uppermost directory only.
    removeXattrs(pathIn(to.fd, name))
    return true
  }
  if (there) remove(to, name, there)
  call("mkdirat", to.fd, name, 0o700)
  return false
}

/** Where files with several names were copied to, by device and inode, from the top directory of the copy. */
interface Seen {
  top: number
  paths: Map<string, Path>
}

function copyDirectory(handle: number, to: Directory, name: Path, there: Stat | null, seen: Seen): void {
  const source = call("openat", handle, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
  try {
    const merges = enterDirectory(source, to, name, there)
    const fd = call("openat", to.fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
    try {
      const isTop = to.fd === AT_FDCWD
      if (isTop) seen.top = fd
      const directory = { fd, path: isTop ? TOP : join(to.path, name) }
      for (const entry of listEntries(source)) copyNamed(source, entry.name, directory, seen, merges)
    } finally {
      close(fd)
    }
  } finally {
    close(source)
  }
}

const COPIED = openHow(O_PATH | O_NOFOLLOW | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

/** True where what has several names is there under one already, and has got this one, too. */
function linked(stat: Stat, { fd, path }: Directory, name: Path, seen: Seen): boolean {
  if (stat.nlink < 2) return false
  const key = `${stat.dev}/${stat.ino}`
  const first = seen.paths.get(key)
  if (first !== undefined) {
    const copy = call("openat2", seen.top, first, COPIED, OPEN_HOW_SIZE)
    try {
      call("linkat", AT_FDCWD, opened(copy), fd, name, AT_SYMLINK_FOLLOW)
    } finally {
      close(copy)
    }
    return true
  }
  const own = join(path, name)
  // One that is too deep to be named is copied for each of its names.
  if (own.length <= PATH_MAX) seen.paths.set(key, own)
  return false
}

/** Copies what is open, which stays the same whatever becomes of its name. `onLayers`: there may be something of that name, of layers below. */
function copyOpened(handle: number, stat: TimedStat, to: Directory, name: Path, seen: Seen, onLayers: boolean): void {
  const there = onLayers ? lstat(name, to.fd) : null
  const kind = stat.mode & S_IFMT
  if (kind === S_IFDIR) {
    copyDirectory(handle, to, name, there, seen)
  } else {
    if (there) remove(to, name, there)
    if (linked(stat, to, name, seen)) return
    if (kind === S_IFREG) copyFile(handle, to, name, stat.size)
    else if (kind === S_IFLNK) copyLink(handle, to, name)
    else call("mknodat", to.fd, name, stat.mode, kind === S_IFBLK || kind === S_IFCHR ? makedev(stat) : 0)
  }
  setMetadata(handle, to, name, stat)
}

/** Somebody may be changing what is copied, and the copy: each name is looked up once, in an open directory, and no link is followed. */
function copyNamed(from: number, name: Path, to: Directory, seen: Seen, onLayers: boolean): void {
  const handle = callResult("openat", from, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
  // Gone since it was listed.
  if (handle === ENOENT) return
  if (handle < 0) throw failure("openat", handle, from, decoder.decode(name))
  try {
    const stat = statOf(handle)
    if (isWhiteout(from, name, stat)) {
      const there = onLayers ? lstat(name, to.fd) : null
      if (there) remove(to, name, there)
    } else {
      copyOpened(handle, stat, to, name, seen, onLayers)
    }
  } finally {
    close(handle)
  }
}

/** `path` as an overlay has it: what is mounted on directories of the root is no part of it. */
function openAlone(path: string): number {
  try {
    return call("open_tree", AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
  } catch (error) {
    // Before Linux 6.15 a mount that is not attached anywhere cannot be cloned.
    if (!isErrno(error, "EINVAL")) throw error
    return call("open_tree", AT_FDCWD, path, OPEN_TREE_CLOEXEC)
  }
}

/** Copies the tree `from` to `to`, which may exist: what is there stays unless it has the name of what is copied, or `from` hides it. Throws ToyboxError. */
export function copyTree(from: string, to: string): void {
  let tree = -1
  try {
    tree = openAlone(from)
    copyOpened(tree, statOf(tree), { fd: AT_FDCWD, path: TOP }, toPath(to), { top: -1, paths: new Map() }, true)
  } catch (error) {
    throw new ToyboxError(`cannot copy ${from} to ${to}`, { cause: error })
  } finally {
    if (tree >= 0) close(tree)
  }
}
