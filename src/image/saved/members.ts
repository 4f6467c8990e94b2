/** The members of an archive of images by name, each to be read from its place in the file: nothing is unpacked. */
import { callResult, failure } from "../../../ffi/call.ts"
import { stat } from "../../../ffi/fs.ts"
import { addressOf } from "../../../ffi/prepared.ts"
import { ToyboxError } from "../../errors.ts"
import { shownName } from "../layer/binary.ts"
import { type TarEntry, TarError } from "../layer/tar/entry.ts"
import { BLOCK } from "../layer/tar/header.ts"
import { createTarReader } from "../layer/tar/reader.ts"

/** Where a member's content is in the file. */
interface Place {
  offset: number
  size: number
}

/** The files of an image, in a directory or an archive. */
export interface ImageFiles {
  /** For messages: the path. */
  readonly name: string
  /** All of a file; null where there is none. Throws ToyboxError where it has more than `limit` bytes. */
  read(path: string, limit: number): Uint8Array | null
  /** Bytes of a file; null where there is none. */
  size(path: string): number | null
  /** A file from its beginning. Throws ToyboxError where there is none. */
  stream(path: string): AsyncGenerator<Uint8Array>
}

const MOST_MEMBERS = 100_000
// All names are in memory; those of images have some hundred bytes.
const LONGEST_NAME = 1024
const MOST_LINKS = 8
const WINDOW = 64 * 1024
const CHUNK = 512 * 1024
const EINTR = -4

/** pread(2) of up to `length` bytes; fewer at the end of the file. */
export function readAt(fd: number, offset: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let done = 0; ; ) {
    const count = callResult("pread", fd, addressOf(bytes) + done, length - done, offset + done)
    if (count === EINTR) continue
    if (count < 0) throw failure("pread", count, fd)
    done += count
    if (count === 0 || done === length) return bytes.subarray(0, done)
  }
}

/** A name without "./", "//" and a leading slash. */
const normal = (path: string) =>
  path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")

/** Where a link of the archive leads, inside the archive. */
function linkTarget(from: string, { type, link }: TarEntry): string {
  if (type === "hardlink" || link.startsWith("/")) return normal(link)
  const parts = from.split("/").slice(0, -1)
  for (const part of normal(link).split("/")) {
    if (part === "..") parts.pop()
    else parts.push(part)
  }
  return parts.join("/")
}

/** Reads the headers, and passes over what is between them. Throws ToyboxError. */
function readMembers(fd: number, name: string): Map<string, Place | string> {
  const members = new Map<string, Place | string>()
  const end = stat(`/proc/self/fd/${fd}`)?.size ?? 0
  let position = 0
  let content = 0
  const note = (entry: TarEntry) => {
    const path = normal(entry.path)
    if (entry.path.length > LONGEST_NAME || entry.link.length > LONGEST_NAME)
      throw new TarError(`has a member whose name has more than ${LONGEST_NAME} bytes`)
    if (members.size === MOST_MEMBERS) throw new TarError(`has more than ${MOST_MEMBERS} members`)
    if (entry.type === "symlink" || entry.type === "hardlink") members.set(path, linkTarget(path, entry))
    if (entry.type !== "file") return
    if (entry.sparse !== null) throw new TarError(`has a sparse file, ${shownName(path)}, where images have none`)
    members.set(path, { offset: position, size: entry.size })
    content = entry.size
  }
  const reader = createTarReader({ entry: note, data() {}, end() {} }, () => true)
  try {
    let window = readAt(fd, 0, WINDOW)
    let start = 0
    while (position < end && !reader.ended()) {
      // Headers begin at whole blocks; what is between a content and the next of these is padding.
      const size = Math.min(BLOCK - (position % BLOCK), end - position)
      if (position < start || position + size > start + window.length) {
        start = position
        window = readAt(fd, start, WINDOW)
      }
      const block = window.subarray(position - start, position - start + size)
      position += block.length
      reader.push(block)
      if (position + content > end)
        throw new TarError(`is truncated: it ends at byte ${end}, in the content of a member`)
      position += content
      content = 0
    }
    reader.finish()
  } catch (error) {
    if (error instanceof TarError) throw new ToyboxError(`${name} ${error.message}`)
    throw error
  }
  return members
}

/**
 * The members of a plain tar file, whose descriptor stays the caller's. Links lead to other members and nowhere else. Throws
 * ToyboxError where it is no whole archive.
 */
export function archiveMembers(fd: number, name: string): ImageFiles {
  const members = readMembers(fd, name)
  function find(path: string): Place | null {
    let at = normal(path)
    for (let links = 0; links <= MOST_LINKS; links++) {
      const found = members.get(at)
      if (typeof found !== "string") return found ?? null
      at = found
    }
    return null
  }
  return {
    name,
    size: (path) => find(path)?.size ?? null,
    read(path, limit) {
      const place = find(path)
      if (place === null) return null
      if (place.size > limit) throw new ToyboxError(`${name}: ${path} has ${place.size} bytes, ${limit} are allowed`)
      return readAt(fd, place.offset, place.size)
    },
    async *stream(path) {
      const place = find(path)
      if (place === null) throw new ToyboxError(`${name} has no ${path}`, { hint: "the archive is not whole" })
      for (let done = 0; done < place.size; ) {
        const part = readAt(fd, place.offset + done, Math.min(CHUNK, place.size - done))
        if (part.length === 0) throw new ToyboxError(`${name} became shorter while it was read`)
        done += part.length
        yield part
        // Signals and progress have their turn.
        await new Promise(setImmediate)
      }
    },
  }
}
