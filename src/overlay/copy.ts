/** A full copy of a root, for where overlayfs is refused: every kind of file, owners, modes, times, xattrs, hard links, holes; layers as an overlay shows them. */
import { call, callResult, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
} from "../../ffi/constants/fcntl.ts"
import { OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../ffi/constants/mount.ts"
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, listEntries, lstat, type Stat } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { ToyboxError } from "../errors.ts"
import { isOpaque, isOverlayAttribute, isWhiteoutAt } from "./whiteouts.ts"

/** Names need not be UTF-8: bytes, with the closing NUL. */
type Path = Uint8Array

const ENXIO = -6
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const toPath = (text: string): Path => encoder.encode(`${text}\0`)

function join(directory: Path, name: Path): Path {
  const path = new Uint8Array(directory.length + name.length)
  path.set(directory)
  path[directory.length - 1] = 0x2f
  path.set(name, directory.length)
  return path
}

function copyXattrs(from: Path, to: Path): void {
  const size = callResult("llistxattr", from, scratch.address, SCRATCH_SIZE)
  if (size <= 0) return // None, or a file system without them.
  const names = decoder.decode(scratch.bytes.subarray(0, size)).split("\0")
  for (const name of names) {
    // What an overlay keeps for itself must not speak to the next one.
    if (name === "" || isOverlayAttribute(name)) continue
    const length = callResult("lgetxattr", from, name, scratch.address, SCRATCH_SIZE)
    if (length < 0) continue
    const value = scratch.bytes.slice(0, length)
    callResult("lsetxattr", to, name, value, length, 0)
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

function copyFile(from: Path, to: Path, size: number): void {
  const source = call("openat", AT_FDCWD, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0)
  try {
    const target = call("openat", AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    try {
      copyData(source, target, size)
    } finally {
      close(target)
    }
  } finally {
    close(source)
  }
}

function copyLink(from: Path, to: Path): void {
  const size = call("readlinkat", AT_FDCWD, from, scratch.address, SCRATCH_SIZE - 1)
  scratch.bytes[size] = 0
  call("symlinkat", scratch.bytes.slice(0, size + 1), AT_FDCWD, to)
}

function entriesOf(path: Path): Path[] {
  const fd = call("openat", AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
  try {
    return listEntries(fd).map(({ name }) => name)
  } finally {
    close(fd)
  }
}

const makedev = ({ rdevMajor: major, rdevMinor: minor }: Stat) =>
  (minor & 0xff) + (major & 0xfff) * 256 + Math.floor(minor / 256) * 2 ** 20

function setMetadata(from: Path, to: Path, stat: TimedStat): void {
  call("fchownat", AT_FDCWD, to, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW)
  const isLink = (stat.mode & S_IFMT) === S_IFLNK
  // After the owner: chown(2) clears the setuid bit and file capabilities.
  if (!isLink) call("fchmodat", AT_FDCWD, to, stat.mode & 0o7777, 0)
  copyXattrs(from, to)
  const time = [[8, stat.seconds] as const, [8, stat.nanoseconds] as const]
  call("utimensat", AT_FDCWD, to, struct(...time, ...time), AT_SYMLINK_NOFOLLOW)
}

interface TimedStat extends Stat {
  seconds: number
  nanoseconds: number
}

function statOf(path: Path): TimedStat | null {
  const stat = lstat(path)
  // The memory still holds what the call has left: struct statx, stx_mtime; as a float it would lose the last digits.
  return stat && { ...stat, seconds: scratch.word(112), nanoseconds: scratch.u32(120) }
}

function remove(path: Path, { mode }: Stat): void {
  if ((mode & S_IFMT) === S_IFDIR) removeTree(path)
  else call("unlinkat", AT_FDCWD, path, 0)
}

function removeXattrs(path: Path): void {
  const size = callResult("llistxattr", path, scratch.address, SCRATCH_SIZE)
  const names = size > 0 ? decoder.decode(scratch.bytes.subarray(0, size)).split("\0") : []
  for (const name of names) if (name !== "") callResult("lremovexattr", path, name)
}

/** The directory that a copy goes to; true where it has files of the layers below. */
function enterDirectory(from: Path, to: Path, there: Stat | null): boolean {
  const merges = there !== null && (there.mode & S_IFMT) === S_IFDIR && !isOpaque(from)
  if (merges) {
    // An overlay shows those of the uppermost directory only.
    removeXattrs(to)
    return true
  }
  if (there) remove(to, there)
  call("mkdirat", AT_FDCWD, to, 0o700)
  return false
}

/** `seen`: where files with several names were copied to. `onLayers`: there may be something at `to`, of layers below. */
function copyEntry(from: Path, to: Path, seen: Map<string, Path>, onLayers: boolean): void {
  const stat = statOf(from)
  if (!stat) return // Gone since it was listed.
  const there = onLayers ? lstat(to) : null
  if (isWhiteoutAt(from, stat)) {
    if (there) remove(to, there)
    return
  }
  const kind = stat.mode & S_IFMT
  if (kind === S_IFDIR) {
    const merges = enterDirectory(from, to, there)
    for (const name of entriesOf(from)) copyEntry(join(from, name), join(to, name), seen, merges)
    setMetadata(from, to, stat)
    return
  }
  if (there) remove(to, there)
  if (stat.nlink > 1) {
    const key = `${stat.dev}/${stat.ino}`
    const first = seen.get(key)
    if (first !== undefined) {
      call("linkat", AT_FDCWD, first, AT_FDCWD, to, 0)
      return
    }
    seen.set(key, to)
  }
  if (kind === S_IFREG) copyFile(from, to, stat.size)
  else if (kind === S_IFLNK) copyLink(from, to)
  else call("mknodat", AT_FDCWD, to, stat.mode, kind === S_IFBLK || kind === S_IFCHR ? makedev(stat) : 0)
  setMetadata(from, to, stat)
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
    copyEntry(toPath(`/proc/self/fd/${tree}/.`), toPath(to), new Map(), true)
  } catch (error) {
    throw new ToyboxError(`cannot copy ${from} to ${to}`, { cause: error })
  } finally {
    if (tree >= 0) close(tree)
  }
}
