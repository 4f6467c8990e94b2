/**
 * A tar archive as a stream of bytes: headers, extended headers and content, in chunks of any size. Knows v7, ustar, PAX
 * (with global headers), GNU and star. Refuses what a damaged archive has; what it says about files is for others to judge.
 */
import { fromBytes, shownName } from "../binary.ts"
import { type Described, describe, type Extensions, noExtensions } from "./describe.ts"
import { type TarEntry, TarError, type TarSink } from "./entry.ts"
import { BLOCK, isChecksumRight, isZeroBlock, readNumber } from "./header.ts"
import { addPaxRecords } from "./pax.ts"
import { checkSparse, createMapReader, type MapReader, readOldExtension } from "./sparse.ts"

export interface TarReader {
  /** Takes the next bytes, and calls the sink. Throws TarError, and what the sink throws. */
  push(chunk: Uint8Array): void
  /**
   * There are no more bytes. Throws TarError where the archive is not complete. `endless`: blocks of zeros at its end, and the
   * padding before them, may be missing, as where a program has not closed its archive: that its content is all there, others
   * must know.
   */
  finish(endless?: boolean): void
  /** Bytes taken so far. */
  position(): number
  /** Whether the archive's end has been seen: what follows is nothing of it. */
  ended(): boolean
}

// An entry's names and attributes: the kernel takes 64 KiB for one attribute, and for all of a file's names of attributes.
const LONGEST_EXTENSION = 4 * 1024 * 1024

// They are kept, and copied for each entry: of honest writers they are a comment, or a time.
const MOST_GLOBAL = 100

const EXTENSIONS = "xXgLK"

/** What the reader is in the middle of. */
type State = "header" | "extension" | "sparse" | "content" | "skip" | "ended"

/**
 * `isLeftOut`: an entry whose content is missing from the stream; it is announced with an empty part of the chunk, from the
 * place where its content would be.
 */
export function createTarReader(sink: TarSink, isLeftOut: (entry: TarEntry) => boolean = () => false): TarReader {
  let state: State = "header"
  let position = 0
  let left = 0 // bytes of the extension, the content, or what is skipped
  let padding = 0
  let zeroBlock = false
  let extensions: Extensions = noExtensions()
  let current: Described | null = null
  let mapReader: MapReader | null = null
  let mapBlocks = 0
  let kind = "" // type flag of the extension
  let parts: Uint8Array[] = []
  const partial = new Uint8Array(BLOCK)
  let partialSize = 0
  let lastPath: string | null = null

  const where = () => (lastPath === null ? "" : ` after ${shownName(lastPath)}`)
  const told = <Result>(read: () => Result, at: number): Result => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof TarError)) throw error
      throw new TarError(`${error.message}, at byte ${at}${where()}`)
    }
  }
  const padded = (size: number) => (BLOCK - (size % BLOCK)) % BLOCK

  /** Goes on to the content, once everything about the entry is known. */
  function announce(chunk: Uint8Array, at: number): number {
    const { entry, stored, skipped } = current as Described
    const size = stored - mapBlocks * BLOCK
    if (entry.sparse) told(() => checkSparse(entry.sparse ?? { offsets: [], lengths: [] }, entry.size, size), position)
    lastPath = entry.path
    padding = padded(stored)
    extensions = noExtensions(extensions.global)
    if (skipped || size === 0) {
      if (!entry.sparse) sink.entry(entry, chunk.subarray(at, at))
      else {
        sink.entry(entry, null)
        sink.end()
      }
      skip(skipped ? size + padding : padding)
      return at
    }
    if (isLeftOut(entry)) {
      sink.entry(entry, chunk.subarray(at, at))
      skip(padding)
      return at
    }
    if (!entry.sparse && at + size <= chunk.length) {
      sink.entry(entry, chunk.subarray(at, at + size))
      position += size
      skip(padding)
      return at + size
    }
    sink.entry(entry, null)
    left = size
    state = "content"
    return at
  }

  function skip(size: number): void {
    left = size
    state = size === 0 ? "header" : "skip"
  }

  function onExtension(bytes: Uint8Array): void {
    const text = fromBytes(bytes)
    const untilNul = () => (text.includes("\0") ? text.slice(0, text.indexOf("\0")) : text)
    if (kind === "L") extensions.path = untilNul()
    else if (kind === "K") extensions.link = untilNul()
    else if (kind === "g") {
      addPaxRecords(text, extensions.global)
      for (const keyword of extensions.global.keys()) {
        if (keyword.startsWith("GNU.sparse.")) extensions.global.delete(keyword)
      }
      const size = [...extensions.global].reduce((sum, [keyword, value]) => sum + keyword.length + value.length, 0)
      if (extensions.global.size > MOST_GLOBAL || size > LONGEST_EXTENSION)
        throw new TarError(`has global headers with more than ${MOST_GLOBAL} records, or ${LONGEST_EXTENSION} bytes`)
    } else addPaxRecords(text, extensions.local)
  }

  /** A whole header block; returns where in the chunk to go on. */
  function onHeader(block: Uint8Array, chunk: Uint8Array, at: number): number {
    const start = position - BLOCK
    if (isZeroBlock(block, 0)) {
      if (zeroBlock) state = "ended"
      zeroBlock = true
      return at
    }
    if (zeroBlock) throw new TarError(`has a header after its end, at byte ${start}${where()}`)
    if (!isChecksumRight(block)) {
      throw new TarError(
        start === 0 ? "is no tar archive" : `is corrupt: a header with a wrong checksum, at byte ${start}${where()}`,
      )
    }
    const typeflag = String.fromCharCode(block[156] as number)
    if (EXTENSIONS.includes(typeflag)) {
      left = told(() => readNumber(block, 124, 12, "size"), start)
      if (left < 0 || left > LONGEST_EXTENSION) {
        throw new TarError(`has an extended header of ${left} bytes, at byte ${start}${where()}`)
      }
      kind = typeflag
      parts = []
      padding = padded(left)
      state = "extension"
      return at
    }
    // A volume's label: it is no file.
    if (typeflag === "V") {
      skip(0)
      return at
    }
    current = told(() => describe(block, extensions), start)
    mapBlocks = 0
    mapReader = current.before === "map" ? createMapReader() : null
    if (current.before === null) return announce(chunk, at)
    state = "sparse"
    return at
  }

  function onSparse(block: Uint8Array, chunk: Uint8Array, at: number): number {
    const described = current as Described
    const list = described.entry.sparse
    if (mapReader !== null) {
      const reader = mapReader
      mapBlocks++
      const more = told(() => reader.block(block), position)
      if (mapBlocks * BLOCK > described.stored) throw new TarError(`has a malformed sparse map${where()}`)
      if (more) return at
      described.entry.sparse = reader.list
    } else if (list && told(() => readOldExtension(block, list), position)) return at
    return announce(chunk, at)
  }

  function onBlock(block: Uint8Array, chunk: Uint8Array, at: number): number {
    position += BLOCK
    return state === "header" ? onHeader(block, chunk, at) : onSparse(block, chunk, at)
  }

  /** Takes a block, also one that comes in two chunks. */
  function takeBlock(chunk: Uint8Array, at: number): number {
    if (partialSize === 0 && at + BLOCK <= chunk.length) {
      return onBlock(chunk.subarray(at, at + BLOCK), chunk, at + BLOCK)
    }
    const size = Math.min(BLOCK - partialSize, chunk.length - at)
    partial.set(chunk.subarray(at, at + size), partialSize)
    partialSize += size
    if (partialSize < BLOCK) return at + size
    partialSize = 0
    return onBlock(partial, chunk, at + size)
  }

  function takeBytes(chunk: Uint8Array, at: number): number {
    const size = Math.min(left, chunk.length - at)
    left -= size
    position += size
    if (state === "content") sink.data(chunk.subarray(at, at + size))
    else if (state === "extension") parts.push(chunk.slice(at, at + size))
    if (left > 0) return at + size
    if (state === "content") sink.end()
    else if (state === "extension") told(() => onExtension(Buffer.concat(parts)), position)
    skip(state === "skip" ? 0 : padding)
    return at + size
  }

  function middle(): string {
    const path = lastPath === null ? "" : shownName(lastPath)
    if (state === "content") return `in the content of ${path}, ${left} bytes before its end`
    if (state === "header" && partialSize === 0) return `without the end of an archive${where()}`
    return `in ${state === "skip" ? "what follows the content" : "a header"}${where()}`
  }

  return {
    push(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (state === "ended") {
          position += chunk.length - at
          return
        }
        at = state === "header" || state === "sparse" ? takeBlock(chunk, at) : takeBytes(chunk, at)
      }
    },
    finish(endless = false) {
      const total = position + partialSize
      if (total === 0 && !endless) throw new TarError("is empty")
      // One block of zeros is enough for everybody.
      if (state === "ended" || (zeroBlock && partialSize === 0)) return
      if (endless && partialSize === 0 && (state === "header" || (state === "skip" && left < BLOCK))) return
      // Names of files are followed by zeros; a page of text that came instead is not.
      if (total < BLOCK && !partial.subarray(0, total).includes(0)) throw new TarError("is no tar archive")
      throw new TarError(`is truncated: it ends at byte ${total}, ${middle()}`)
    },
    position: () => position + partialSize,
    ended: () => state === "ended",
  }
}
