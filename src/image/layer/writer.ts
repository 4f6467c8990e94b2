/**
 * A directory tree as a tar stream, the same bytes for the same tree: entries sorted by the bytes of their names, ustar with
 * PAX only where it is needed. Sparse files are written dense unless asked, for every program reads that, and compression
 * takes the zeros. Sockets cannot be archived and are left out, with a word; what the kernel makes up in a mounted /proc or /sys
 * is left out, unless it is what is to be written. Who has the tree may change it meanwhile: nothing
 * is followed, and only regular files are opened.
 */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../../ffi/call.ts"
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  SEEK_DATA,
  SEEK_HOLE,
} from "../../../ffi/constants/fcntl.ts"
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { listEntries } from "../../../ffi/directory.ts"
import { close } from "../../../ffi/fs.ts"
import { addressOf } from "../../../ffi/prepared.ts"
import { ToyboxError } from "../../errors.ts"
import { notice } from "../../log.ts"
import { isOpaque, isWhiteoutStat } from "../../overlay/whiteouts.ts"
import { fromBytes, shownName, toName } from "./binary.ts"
import { type ExactStat, exactStat } from "./exact-stat.ts"
import { createGeneratedTest, readGenerated } from "./generated.ts"
import type { EntryType, SparseMap } from "./tar/entry.ts"
import { END_OF_ARCHIVE, paddingFor, type WrittenEntry, writeHeader } from "./tar/write-header.ts"
import { meaningOf } from "./whiteouts.ts"
import { xattrsOf } from "./xattrs.ts"

export interface WalkOptions {
  /**
   * "overlay": a layer of an image, of an overlay's upper directory: whiteouts and opaque directories become .wh. entries, and
   * files that are called so are left out, with a word.
   */
  whiteouts: "overlay" | "none"
  /** Times later than this (seconds since 1970) become this: SOURCE_DATE_EPOCH. */
  latestTime?: number
  /** Holes are left out, as GNU tar's PAX form 1.0 has it. */
  sparse?: boolean
  /** Leaves out what it says true to; `path` is that in the archive. */
  omits?: (stat: ExactStat, path: string) => boolean
}

export interface WriteOptions extends WalkOptions {
  /** The tree (absolute path); symlinks in it are not followed. */
  source: string
}

const CONTENT_CHUNK = 512 * 1024
// PATH_MAX: nobody could unpack longer ones; and each level takes a descriptor.
const LONGEST_PATH = 4096
const ENOENT = -2
const EINTR = -4
const ENXIO = -6

const TYPES: readonly (readonly [bits: number, type: EntryType])[] = [
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
]

const ownPath = (fd: number) => `/proc/self/fd/${fd}`

/** The names in an open directory, sorted by their bytes. */
const namesIn = (fd: number): string[] =>
  listEntries(fd)
    .map(({ name }) => fromBytes(name, 0, name.length - 1))
    .sort()

/** Null where it is gone. */
function linkTarget(dirFd: number, name: string, path: string): string | null {
  const size = callResult("readlinkat", dirFd, toName(name), scratch.address, SCRATCH_SIZE)
  if (size === ENOENT) return null
  if (size < 0) throw failure("readlinkat", size, shownName(path))
  return fromBytes(scratch.bytes, 0, size)
}

/** Opens a regular file, and nothing else: opening a device may do something. Null where it is gone. */
function openContent(dirFd: number, name: string, path: string, stat: ExactStat, flags: number): number | null {
  const fd = name === "" ? dirFd : callResult("openat", dirFd, toName(name), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
  if (fd === ENOENT) return null
  if (fd < 0) throw failure("openat", fd, shownName(path))
  try {
    const found = exactStat(fd, "")
    if (found === null || found.ino !== stat.ino || found.dev !== stat.dev || (found.mode & S_IFMT) !== S_IFREG)
      throw new ToyboxError(`${shownName(path)} was replaced while it was read`)
    return call("openat", AT_FDCWD, ownPath(fd), O_RDONLY | O_CLOEXEC | flags, 0)
  } finally {
    if (name !== "") close(fd)
  }
}

/** A part of an open file; one that shrinks cannot be archived. */
function* readPart(fd: number, path: string, offset: number, size: number): Generator<Uint8Array> {
  for (let done = 0; done < size; ) {
    const bytes = Buffer.allocUnsafeSlow(Math.min(size - done, CONTENT_CHUNK))
    const count = callResult("pread", fd, addressOf(bytes), bytes.length, offset + done)
    if (count === EINTR) continue
    if (count < 0) throw failure("pread", count, shownName(path))
    if (count === 0) throw new ToyboxError(`${shownName(path)} became shorter while it was read`)
    done += count
    yield bytes.subarray(0, count)
  }
}

/** What lies between the holes of an open file; null where there are none. */
function piecesOf(fd: number, stat: ExactStat): SparseMap | null {
  if (stat.blocks * 512 >= stat.size) return null
  const [offsets, lengths]: [number[], number[]] = [[], []]
  for (let position = 0; position < stat.size; ) {
    const data = callResult("lseek", fd, position, SEEK_DATA)
    if (data === ENXIO || data >= stat.size) break
    const end = data < 0 ? data : callResult("lseek", fd, data, SEEK_HOLE)
    if (end < 0) return null // This file system does not tell.
    offsets.push(data)
    lengths.push(Math.min(end, stat.size) - data)
    position = end
  }
  return { offsets, lengths }
}

/** The content, as long as it was said to be: a file that grows is cut. */
function* writeFile(entry: WrittenEntry, fd: number, stat: ExactStat, sparse: boolean): Generator<Uint8Array> {
  const pieces = sparse ? piecesOf(fd, stat) : null
  if (pieces === null) {
    yield writeHeader({ ...entry, size: stat.size })
    yield* readPart(fd, entry.path, 0, stat.size)
    yield paddingFor(stat.size)
    return
  }
  const { offsets, lengths } = pieces
  // GNU tar's, too, ends with a piece of nothing where the file ends.
  const numbers = [offsets.length + 1, ...offsets.flatMap((at, i) => [at, lengths[i] ?? 0]), stat.size, 0]
  const text = Buffer.from(`${numbers.join("\n")}\n`)
  const map = Buffer.concat([text, paddingFor(text.length)])
  const size = map.length + lengths.reduce((sum, length) => sum + length, 0)
  yield writeHeader({ ...entry, size, sparseSize: stat.size })
  yield map
  for (const [i, offset] of offsets.entries()) yield* readPart(fd, entry.path, offset, lengths[i] ?? 0)
  yield paddingFor(size)
}

function* writeGenerated(entry: WrittenEntry, fd: number): Generator<Uint8Array> {
  const content = readGenerated(fd, entry.path)
  yield writeHeader({ ...entry, size: content.length })
  yield content
  yield paddingFor(content.length)
}

/** What stays the same during a walk. */
interface Walk {
  readonly options: WalkOptions
  /** The first path of files with several, by device and inode. */
  readonly seen: Map<string, string>
  readonly isGenerated: ReturnType<typeof createGeneratedTest>
  /** The walk itself began among what the kernel makes up. */
  readonly fromGenerated: boolean
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
  if (stat === null || walk.options.omits?.(stat, path)) return // null: gone since it was listed.
  if (walk.options.whiteouts === "overlay" && meaningOf(name).kind !== "file") {
    notice(`${shownName(path)} is left out: in an image such a name removes what is below`)
    return
  }
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
  const isGenerated = (type === "file" || type === "directory") && walk.isGenerated(dirFd, name, stat)
  if (type === "file") {
    if (stat.size === 0 && !isGenerated) {
      yield writeHeader({ ...entry, xattrs })
      return
    }
    const fd = openContent(dirFd, name, path, stat, isGenerated ? O_NONBLOCK : 0)
    if (fd === null) return
    try {
      if (isGenerated) yield* writeGenerated({ ...entry, xattrs }, fd)
      else yield* writeFile({ ...entry, xattrs }, fd, stat, walk.options.sparse ?? false)
    } finally {
      close(fd)
    }
  } else if (type === "directory") {
    yield writeHeader({ ...entry, xattrs, path: `${path}/` })
    if (!isGenerated || walk.fromGenerated) yield* writeDirectory(walk, dirFd, name, `${path}/`)
  } else if (type === "symlink") {
    const link = linkTarget(dirFd, name, path)
    if (link !== null) yield writeHeader({ ...entry, xattrs, link })
  } else yield writeHeader({ ...entry, xattrs, major: stat.rdevMajor, minor: stat.rdevMinor })
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

/** What is written: something in an open directory, or ("") what is open itself; "." is the directory, and all in it. */
export interface Start {
  dirFd: number
  name: string
  /** What it is called in the archive; "." for what is in a directory, without its name. */
  path: string
}

/**
 * The archive, piece after piece; each piece is the consumer's. Throws ToyboxError, and SyscallError for what cannot be
 * read.
 */
export function* writeTree({ dirFd, name, path }: Start, options: WalkOptions): Generator<Uint8Array> {
  const stat = exactStat(dirFd, name)
  const isGenerated = createGeneratedTest()
  const fromGenerated = stat !== null && isGenerated(dirFd, name, stat)
  const walk: Walk = { options, seen: new Map(), isGenerated, fromGenerated }
  if (path === ".") {
    if (stat === null) throw new ToyboxError("the directory is gone")
    yield writeHeader({ ...entryOf(walk, stat, "directory", "./"), xattrs: xattrsOf(dirFd, name) })
    yield* writeDirectory(walk, dirFd, name, "")
  } else yield* writeEntry(walk, dirFd, name, path)
  yield END_OF_ARCHIVE
}

/** As writeTree, of a tree by its path. */
export function* writeLayer({ source, ...options }: WriteOptions): Generator<Uint8Array> {
  const fd = call("openat", AT_FDCWD, source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  try {
    yield* writeTree({ dirFd: fd, name: ".", path: "." }, options)
  } finally {
    close(fd)
  }
}
