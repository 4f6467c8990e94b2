/** Sparse files in GNU's four forms: tar manual, "Storing Sparse Files"; star's archives of type S are as GNU's old ones. */
import { TarError } from "./entry.ts"
import { BLOCK, readNumber } from "./header.ts"
import type { PaxRecords } from "./pax.ts"

/** A map as it is read, piece after piece. */
export interface SparseList {
  readonly offsets: number[]
  readonly lengths: number[]
}

// A map of 16 MB: a file with more holes than this is one made to be a nuisance.
const MOST_PIECES = 1_000_000

export const emptyList = (): SparseList => ({ offsets: [], lengths: [] })

function addPiece({ offsets, lengths }: SparseList, offset: number, length: number): void {
  if (offsets.length === MOST_PIECES) throw new TarError(`has a sparse file of more than ${MOST_PIECES} pieces`)
  offsets.push(offset)
  lengths.push(length)
}

/** Reads `count` pieces of GNU's old form; false where an empty one ended the map. */
function readPieces(block: Uint8Array, start: number, count: number, list: SparseList): boolean {
  for (let at = start; at < start + count * 24; at += 24) {
    if (block[at] === 0) return false
    addPiece(list, readNumber(block, at, 12, "sparse map"), readNumber(block, at + 12, 12, "sparse map"))
  }
  return true
}

/** The old form in the header itself: the map so far, the file's size, and whether a block with more follows. */
export function readOldSparse(block: Uint8Array): { list: SparseList; size: number; more: boolean } {
  const list = emptyList()
  readPieces(block, 386, 4, list)
  return { list, size: readNumber(block, 483, 12, "real size"), more: block[482] !== 0 }
}

/** A further block of the old form; whether another one follows. */
export function readOldExtension(block: Uint8Array, list: SparseList): boolean {
  readPieces(block, 0, 21, list)
  return block[504] !== 0
}

/** The forms 0.0 and 0.1, which are in the PAX header; null where there is none. */
export function readPaxSparse(records: PaxRecords): SparseList | null {
  const map = records.get("GNU.sparse.map")
  const offsets = records.get("GNU.sparse.offset")
  if (map === undefined && offsets === undefined) return null
  const numbers = (text: string) =>
    text === ""
      ? []
      : text.split(",").map((part) => {
          if (!/^\d{1,16}$/.test(part)) throw new TarError("has a malformed sparse map")
          return Number(part)
        })
  const list = emptyList()
  if (map !== undefined) {
    const values = numbers(map)
    if (values.length % 2 !== 0) throw new TarError("has a malformed sparse map")
    for (let i = 0; i < values.length; i += 2) addPiece(list, values[i] as number, values[i + 1] as number)
    return list
  }
  const starts = numbers(offsets ?? "")
  const lengths = numbers(records.get("GNU.sparse.numbytes") ?? "")
  if (starts.length !== lengths.length) throw new TarError("has a malformed sparse map")
  for (let i = 0; i < starts.length; i++) addPiece(list, starts[i] as number, lengths[i] as number)
  return list
}

/** Form 1.0: decimal lines in blocks before the content. */
export interface MapReader {
  readonly list: SparseList
  /** Takes a block; whether the map goes on. */
  block(bytes: Uint8Array): boolean
}

const NEWLINE = 0x0a

export function createMapReader(): MapReader {
  const list = emptyList()
  let left = -1 // numbers to come; -1 before the count is known
  let value = 0
  let digits = 0
  let offset = 0
  const take = () => {
    if (left < 0) {
      if (value > MOST_PIECES) throw new TarError(`has a sparse file of more than ${MOST_PIECES} pieces`)
      left = value * 2
      return
    }
    if (left % 2 === 0) offset = value
    else addPiece(list, offset, value)
    left--
  }
  return {
    list,
    block(bytes) {
      for (let at = 0; at < BLOCK && left !== 0; at++) {
        const byte = bytes[at] as number
        if (byte === NEWLINE && digits > 0) {
          take()
          value = 0
          digits = 0
        } else if (byte >= 0x30 && byte <= 0x39 && digits < 16) {
          value = value * 10 + byte - 0x30
          digits++
        } else throw new TarError("has a malformed sparse map")
      }
      return left !== 0
    },
  }
}

/** Throws TarError unless the pieces ascend, lie in the file, and are what is stored. */
export function checkSparse({ offsets, lengths }: SparseList, size: number, stored: number): void {
  let end = 0
  let total = 0
  for (let i = 0; i < offsets.length; i++) {
    const offset = offsets[i] as number
    const length = lengths[i] as number
    if (offset < end || offset + length > size) throw new TarError("has a sparse map that contradicts itself")
    end = offset + length
    total += length
  }
  if (total !== stored) throw new TarError(`has a sparse map of ${total} bytes, where ${stored} are stored`)
}
