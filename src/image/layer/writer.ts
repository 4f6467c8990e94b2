/**
 * A directory tree as a tar stream, the same bytes for the same tree: entries sorted by the bytes of their names, ustar with
 * PAX only where it is needed. Sparse files are written dense, for every program reads that, and compression takes the
 * zeros. Sockets cannot be archived and are left out, with a word.
 */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { close, listEntries } from "../../../ffi/fs.ts"
import { addressOf } from "../../../ffi/prepared.ts"
import { ToyboxError } from "../../errors.ts"
import { notice } from "../../log.ts"
import { fromBytes, shownName, toName } from "./binary.ts"
import { type ExactStat, exactStat } from "./exact-stat.ts"
import type { EntryType } from "./tar/entry.ts"
import { END_OF_ARCHIVE, paddingFor, type WrittenEntry, writeHeader } from "./tar/write-header.ts"
import { isWhiteoutStat, OPAQUE_XATTR } from "./whiteouts.ts"

export interface WriteOptions {
  /** The tree (absolute path); symlinks in it are not followed. */
  source: string
  /** "overlay": an overlay's upper directory; whiteouts and opaque directories become the .wh. entries of image layers. */
  whiteouts: "overlay" | "none"
  /** Times later than this (seconds since 1970) become this: SOURCE_DATE_EPOCH. */
  latestTime?: number
}

const CONTENT_CHUNK = 512 * 1024
// PATH_MAX: nobody could unpack longer ones; and each level takes a descriptor.
const LONGEST_PATH = 4096
const ENOENT = -2
const EINTR = -4
const ENODATA = -61

const TYPES: readonly (readonly [bits: number, type: EntryType])[] = [
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
]

/** The names in an open directory, sorted by their bytes. */
const namesIn = (fd: number): string[] =>
  listEntries(fd)
    .map(({ name }) => fromBytes(name, 0, name.length - 1))
    .sort()

/** A file's own attributes, sorted; without those that overlayfs keeps for itself. By way of /proc, for nothing may be opened. */
function xattrsOf(dirFd: number, name: string): [string, string][] {
  const path = toName(`/proc/self/fd/${dirFd}/${name}`)
  const size = callResult("llistxattr", path, scratch.address, SCRATCH_SIZE)
  if (size <= 0) return [] // None, or a file system without them.
  const names = fromBytes(scratch.bytes, 0, size).split("\0").slice(0, -1).sort()
  const found: [string, string][] = []
  for (const attribute of names) {
    if (/^(trusted|user)\.overlay\./.test(attribute)) continue
    const length = callResult("lgetxattr", path, toName(attribute), scratch.address, SCRATCH_SIZE)
    if (length === ENODATA) continue
    if (length < 0) throw failure("lgetxattr", length, shownName(name), shownName(attribute))
    found.push([attribute, fromBytes(scratch.bytes, 0, length)])
  }
  return found
}

function isOpaque(fd: number): boolean {
  const length = callResult("fgetxattr", fd, OPAQUE_XATTR, scratch.address, SCRATCH_SIZE)
  return length > 0 && fromBytes(scratch.bytes, 0, length) === "y"
}

function linkTarget(dirFd: number, name: string): string {
  const size = call("readlinkat", dirFd, toName(name), scratch.address, SCRATCH_SIZE)
  return fromBytes(scratch.bytes, 0, size)
}

/** The content, as long as it was said to be: a file that grows is cut, one that shrinks cannot be archived. */
function* contentOf(dirFd: number, name: string, path: string, size: number): Generator<Uint8Array> {
  // O_NONBLOCK: what was a file a moment ago may be a FIFO.
  const fd = call("openat", dirFd, toName(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
  try {
    for (let left = size; left > 0; ) {
      const bytes = Buffer.allocUnsafeSlow(Math.min(left, CONTENT_CHUNK))
      const count = callResult("read", fd, addressOf(bytes), bytes.length)
      if (count === EINTR) continue
      if (count < 0) throw failure("read", count, shownName(path))
      if (count === 0) throw new ToyboxError(`${shownName(path)} became shorter while it was read`)
      left -= count
      yield bytes.subarray(0, count)
    }
  } finally {
    close(fd)
  }
  yield paddingFor(size)
}

/** What stays the same during a walk. */
interface Walk {
  readonly options: WriteOptions
  /** The first path of files with several, by device and inode. */
  readonly seen: Map<string, string>
}

function entryOf({ options }: Walk, stat: ExactStat, type: EntryType, path: string): WrittenEntry {
  const isClamped = options.latestTime !== undefined && stat.mtime >= options.latestTime
  return {
    type,
    path,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: isClamped ? (options.latestTime ?? 0) : stat.mtime,
    mtimeNanoseconds: isClamped ? 0 : stat.mtimeNanoseconds,
  }
}

/** An empty file that says something about layers below. */
const mark = (path: string): Uint8Array => writeHeader({ type: "file", path, mode: 0o644, uid: 0, gid: 0, mtime: 0 })

function* writeEntry(walk: Walk, dirFd: number, name: string, path: string): Generator<Uint8Array> {
  const stat = exactStat(dirFd, name)
  if (stat === null) return // Gone since it was listed.
  if (path.length > LONGEST_PATH) throw new ToyboxError(`${shownName(path)} lies deeper than ${LONGEST_PATH} bytes`)
  if (walk.options.whiteouts === "overlay" && isWhiteoutStat(stat)) {
    yield mark(`${path.slice(0, path.length - name.length)}.wh.${name}`)
    return
  }
  const type = TYPES.find(([bits]) => bits === (stat.mode & S_IFMT))?.[1]
  if (type === undefined) {
    notice(`${shownName(path)} is left out: a socket cannot be archived`)
    return
  }
  const entry = entryOf(walk, stat, type, path)
  if (type !== "directory" && stat.nlink > 1) {
    const key = `${stat.dev}/${stat.ino}`
    const first = walk.seen.get(key)
    if (first !== undefined) {
      yield writeHeader({ ...entry, type: "hardlink", link: first })
      return
    }
    walk.seen.set(key, path)
  }
  const xattrs = xattrsOf(dirFd, name)
  if (type === "file") {
    yield writeHeader({ ...entry, xattrs, size: stat.size })
    if (stat.size > 0) yield* contentOf(dirFd, name, path, stat.size)
  } else if (type === "directory") {
    yield writeHeader({ ...entry, xattrs, path: `${path}/` })
    yield* writeDirectory(walk, dirFd, name, `${path}/`)
  } else if (type === "symlink") yield writeHeader({ ...entry, xattrs, link: linkTarget(dirFd, name) })
  else yield writeHeader({ ...entry, xattrs, major: stat.rdevMajor, minor: stat.rdevMinor })
}

function* writeDirectory(walk: Walk, dirFd: number, name: string, prefix: string): Generator<Uint8Array> {
  const fd = callResult("openat", dirFd, toName(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  if (fd === ENOENT) return
  if (fd < 0) throw failure("openat", fd, shownName(prefix))
  try {
    if (walk.options.whiteouts === "overlay" && isOpaque(fd)) yield mark(`${prefix}.wh..wh..opq`)
    for (const child of namesIn(fd)) yield* writeEntry(walk, fd, child, `${prefix}${child}`)
  } finally {
    close(fd)
  }
}

/**
 * The archive, piece after piece; each piece is the consumer's. Throws ToyboxError, and SyscallError for what cannot be
 * read.
 */
export function* writeLayer(options: WriteOptions): Generator<Uint8Array> {
  const { source } = options
  const fd = call("openat", AT_FDCWD, source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  try {
    const walk: Walk = { options, seen: new Map() }
    const stat = exactStat(fd, ".")
    if (stat === null) throw new ToyboxError(`${source} is gone`)
    yield writeHeader({ ...entryOf(walk, stat, "directory", "./"), xattrs: xattrsOf(fd, ".") })
    yield* writeDirectory(walk, fd, ".", "")
    yield END_OF_ARCHIVE
  } finally {
    close(fd)
  }
}
