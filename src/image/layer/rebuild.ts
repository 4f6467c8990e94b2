/** The tar stream of an unpacked layer, to the last bit as it was: from its files and what skeleton.ts has kept. */
import { callResult, failure } from "../../../ffi/call.ts"
import {
  O_CLOEXEC,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open } from "../../../ffi/fs.ts"
import { addressOf } from "../../../ffi/prepared.ts"
import { OPEN_HOW_SIZE, openHow } from "../../../ffi/structs.ts"
import { ToyboxError } from "../../errors.ts"
import { readJson } from "../../state-file.ts"
import { shownName, toName } from "./binary.ts"
import { decompress } from "./decompress.ts"
import { componentsOf } from "./place.ts"
import { readFile } from "./read-file.ts"
import { isKept, MOVED, MOVED_LIST, type Moved, SKELETON } from "./skeleton.ts"
import type { TarEntry } from "./tar/entry.ts"
import { createTarReader } from "./tar/reader.ts"

export interface RebuildOptions {
  /** The layer's directory (absolute path), with `root` in it. */
  dir: string
  /** sha256:<hex>: what the stream must be. */
  diffId: string
  /** For errors: "NAME: the layer 0123456789ab". */
  name: string
}

/** A content that is missing from the skeleton, and where in the chunk it belongs. */
interface Gap {
  at: number
  entry: TarEntry
  file: number
}

const CHUNK = 512 * 1024
const EINTR = -4
/** What calls say where a file is no longer what it was. */
const DAMAGE = ["ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ESPIPE", "ENXIO"] as const
const HOW = openHow(
  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
  RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
)

interface Aside {
  before: number
  to: number
}

/** The first of those put away after a file came: they are in that order. */
function firstAfter(list: readonly Aside[], file: number): Aside | undefined {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle] as Aside).before > file) high = middle
    else low = middle + 1
  }
  return list[low]
}

/** Where the content of a file is now, from the layer's directory. */
function createFinder(moved: Moved | null) {
  if (moved === null) return (_: number, path: string) => `root/${path}`
  const elsewhere = new Map(moved.elsewhere)
  const aside = new Map<string, Aside[]>()
  moved.aside.forEach(({ path, before }, to) => {
    const known = aside.get(path)
    if (known) known.push({ before, to })
    else aside.set(path, [{ before, to }])
  })
  return (file: number, usual: string): string => {
    const path = elsewhere.get(file) ?? usual
    let found: { to: number; rest: string } | null = null
    // The file, or a directory that it was in: whichever was put away first after it came.
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
      const first = firstAfter(aside.get(path.slice(0, end)) ?? [], file)
      if (first && (found === null || first.to < found.to)) found = { to: first.to, rest: path.slice(end) }
    }
    return found === null ? `root/${path}` : `${MOVED}/${found.to}${found.rest}`
  }
}

function* readPart(fd: number, path: string, offset: number, length: number): Generator<Uint8Array> {
  for (let done = 0; done < length; ) {
    const bytes = Buffer.allocUnsafeSlow(Math.min(CHUNK, length - done))
    const count = callResult("pread", fd, addressOf(bytes), bytes.length, offset + done)
    if (count === EINTR) continue
    if (count < 0) throw failure("pread", count, shownName(path))
    if (count === 0) throw new ToyboxError(`${shownName(path)} is shorter than it was`)
    done += count
    yield bytes.subarray(0, count)
  }
}

function* readContent(dirFd: number, path: string, { size, sparse }: TarEntry): Generator<Uint8Array> {
  const fd = callResult("openat2", dirFd, toName(path), HOW, OPEN_HOW_SIZE)
  if (fd < 0) throw failure("openat2", fd, shownName(path))
  try {
    if (sparse === null) yield* readPart(fd, path, 0, size)
    for (let i = 0; i < (sparse?.offsets.length ?? 0); i++) {
      yield* readPart(fd, path, sparse?.offsets[i] ?? 0, sparse?.lengths[i] ?? 0)
    }
  } finally {
    close(fd)
  }
}

async function* pieces({ dir, name }: RebuildOptions): AsyncGenerator<Uint8Array> {
  const dirFd = open(dir, O_PATH)
  let skeletonFd = -1
  try {
    skeletonFd = open(`${dir}/${SKELETON}`, O_RDONLY)
    const find = createFinder(readJson<Moved>(`${dir}/${MOVED_LIST}`))
    let gaps: Gap[] = []
    let chunk = new Uint8Array(0)
    let file = 0
    const reader = createTarReader(
      {
        entry(entry, content) {
          if (!isKept(entry)) return
          // An empty one has no content to be found, and one without any data may have no place in the chunk.
          if (content !== null && entry.size > 0) gaps.push({ at: content.byteOffset - chunk.byteOffset, entry, file })
          file++
        },
        data() {},
        end() {},
      },
      isKept,
    )
    for await (const next of decompress(readFile(skeletonFd), name)) {
      chunk = next as Uint8Array<ArrayBuffer>
      gaps = []
      reader.push(chunk)
      let from = 0
      for (const { at, entry, file } of gaps) {
        if (at > from) yield chunk.subarray(from, at)
        yield* readContent(dirFd, find(file, componentsOf(entry.path).join("/")), entry)
        from = at
      }
      if (chunk.length > from) yield chunk.subarray(from)
    }
  } finally {
    close(dirFd)
    if (skeletonFd >= 0) close(skeletonFd)
  }
}

/** Small pieces as fewer and larger ones. */
async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let buffer = Buffer.allocUnsafeSlow(CHUNK)
  let fill = 0
  for await (const piece of source) {
    if (fill + piece.length > CHUNK) {
      if (fill > 0) yield buffer.subarray(0, fill)
      buffer = Buffer.allocUnsafeSlow(CHUNK)
      fill = 0
    }
    if (piece.length >= CHUNK) yield piece
    else {
      buffer.set(piece, fill)
      fill += piece.length
    }
  }
  if (fill > 0) yield buffer.subarray(0, fill)
}

/**
 * Makes the stream. It is compared with `diffId` while it comes, and its last piece is given only if it is right: a stream
 * that has ended was right. Throws ToyboxError where the layer has been damaged.
 */
export async function* rebuildTar(options: RebuildOptions): AsyncGenerator<Uint8Array> {
  const { diffId, name } = options
  const hash = new Bun.CryptoHasher("sha256")
  const damaged = (cause?: unknown) =>
    new ToyboxError(`${name} cannot be made again as it was`, {
      cause,
      hint: "its files were changed behind toybox's back, or an older toybox has unpacked it: rmi and pull it again",
    })
  let held: Uint8Array | null = null
  try {
    for await (const piece of gathered(pieces(options))) {
      hash.update(piece)
      if (held) yield held
      held = piece
    }
  } catch (error) {
    if (error instanceof ToyboxError || isErrno(error, ...DAMAGE)) throw damaged(error)
    throw error
  }
  if (`sha256:${hash.digest("hex")}` !== diffId) throw damaged()
  if (held) yield held
}
