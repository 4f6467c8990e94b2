/** A full copy of a root, for where overlayfs is refused: every kind of file, owners, modes, times, xattrs, hard links, holes. */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
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
import { close, listEntries, lstat, type Stat } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"

/** Names need not be UTF-8: bytes, with the closing NUL. */
type Path = Uint8Array

const ENXIO = -6
const EEXIST = -17
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const toPath = (text: string): Path => encoder.encode(`${text}\0`)
const shown = (path: Path) => decoder.decode(path.subarray(0, -1))

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
    if (name === "" || name.startsWith("trusted.overlay.")) continue
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

function setMetadata(from: Path, to: Path, stat: Stat): void {
  call("fchownat", AT_FDCWD, to, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW)
  const isLink = (stat.mode & S_IFMT) === S_IFLNK
  // After the owner: chown(2) clears the setuid bit and file capabilities.
  if (!isLink) call("fchmodat", AT_FDCWD, to, stat.mode & 0o7777, 0)
  copyXattrs(from, to)
  const seconds = Math.floor(stat.mtime / 1000)
  const time = [[8, seconds] as const, [8, (stat.mtime - seconds * 1000) * 1e6] as const]
  call("utimensat", AT_FDCWD, to, struct(...time, ...time), AT_SYMLINK_NOFOLLOW)
}

function copyEntry(from: Path, to: Path, seen: Map<string, Path>): void {
  const stat = lstat(from)
  if (!stat) return // Gone since it was listed.
  const kind = stat.mode & S_IFMT
  if (kind !== S_IFDIR && stat.nlink > 1) {
    const key = `${stat.dev}/${stat.ino}`
    const first = seen.get(key)
    if (first !== undefined) {
      call("linkat", AT_FDCWD, first, AT_FDCWD, to, 0)
      return
    }
    seen.set(key, to)
  }
  if (kind === S_IFDIR) {
    const made = callResult("mkdirat", AT_FDCWD, to, 0o700)
    if (made < 0 && made !== EEXIST) throw failure("mkdirat", made, AT_FDCWD, shown(to), 0o700)
    for (const name of entriesOf(from)) copyEntry(join(from, name), join(to, name), seen)
  } else if (kind === S_IFREG) copyFile(from, to, stat.size)
  else if (kind === S_IFLNK) copyLink(from, to)
  else call("mknodat", AT_FDCWD, to, stat.mode, kind === S_IFBLK || kind === S_IFCHR ? makedev(stat) : 0)
  setMetadata(from, to, stat)
}

/** Copies the tree `from` to `to`, which may exist and must be empty. Throws ToyboxError. */
export function copyTree(from: string, to: string): void {
  let tree = -1
  try {
    // Alone, as an overlay has it: what is mounted on directories of the root is no part of it.
    tree = call("open_tree", AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
    copyEntry(toPath(`/proc/self/fd/${tree}/.`), toPath(to), new Map())
  } catch (error) {
    throw new ToyboxError(`cannot copy ${from} to ${to}`, { cause: error })
  } finally {
    if (tree >= 0) close(tree)
  }
}
