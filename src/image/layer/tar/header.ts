/** The 512-byte header block: POSIX.1-1988 ustar, v7, GNU and star. pax(1), "ustar Interchange Format". */
import { fromBytes } from "../binary.ts"
import { TarError } from "./entry.ts"

export const BLOCK = 512

const ZERO = 0x30
const SEVEN = 0x37
const BLANK = 0x20

/** A number field: octal text, or base-256 where the first bit is set (GNU). Throws TarError. */
export function readNumber(block: Uint8Array, offset: number, length: number, field: string): number {
  const first = block[offset] as number
  if (first & 0x80) return readBase256(block, offset, length, field)
  let at = offset
  const end = offset + length
  while (at < end && (block[at] === BLANK || block[at] === 0)) at++
  let value = 0
  for (; at < end; at++) {
    const digit = block[at] as number
    if (digit === 0 || digit === BLANK) break
    if (digit < ZERO || digit > SEVEN) {
      throw new TarError(`has a header whose ${field} is no number: ${JSON.stringify(fromBytes(block, offset, end))}`)
    }
    value = value * 8 + (digit - ZERO)
  }
  return value
}

function readBase256(block: Uint8Array, offset: number, length: number, field: string): number {
  const first = block[offset] as number
  const negative = (first & 0x40) !== 0
  // Two's complement: a negative number is read as its complement, so that leading 0xff bytes count nothing.
  let value = negative ? ~first & 0x3f : first & 0x3f
  for (let at = offset + 1; at < offset + length; at++) {
    const byte = block[at] as number
    value = value * 256 + (negative ? ~byte & 0xff : byte)
    if (value > Number.MAX_SAFE_INTEGER) throw new TarError(`has a header whose ${field} is out of range`)
  }
  return negative ? -1 - value : value
}

/** Whether the block is all zeros: two of them end an archive. */
export function isZeroBlock(block: Uint8Array, offset: number): boolean {
  if (block[offset] !== 0) return false
  for (let at = offset + 1; at < offset + BLOCK; at++) if (block[at] !== 0) return false
  return true
}

const CHECKSUM = 148

/** Whether the checksum is right, also as old programs counted it, with signed bytes. */
export function isChecksumRight(block: Uint8Array): boolean {
  let unsigned = 8 * BLANK
  let high = 0
  for (let at = 0; at < BLOCK; at++) {
    if (at === CHECKSUM) at += 8
    const byte = block[at] as number
    unsigned += byte
    if (byte > 127) high++
  }
  const stored = Number.parseInt(readText(block, CHECKSUM, 8), 8)
  return stored === unsigned || stored === unsigned - 256 * high
}

/** A text field: up to a NUL, or all of it. */
export function readText(block: Uint8Array, offset: number, length: number): string {
  const end = block.indexOf(0, offset)
  return fromBytes(block, offset, end < 0 || end > offset + length ? offset + length : end)
}

const MAGIC = 257
const PREFIX = 345

/** The path with its prefix, which GNU's own format does not have: there, other things are in its place. */
export function readPath(block: Uint8Array): string {
  const name = readText(block, 0, 100)
  // "ustar" NUL; GNU has "ustar" and two blanks.
  if (fromBytes(block, MAGIC, MAGIC + 6) !== "ustar\0") return name
  const isStar = fromBytes(block, 508, 512) === "tar\0"
  const prefix = readText(block, PREFIX, isStar ? 131 : 155)
  return prefix === "" ? name : `${prefix}/${name}`
}

/** The raw fields of a header block, unchecked but for their form. */
export interface Header {
  readonly path: string
  readonly typeflag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly link: string
}

/** Reads the fields of a block whose checksum is right. Throws TarError. */
export function readHeader(block: Uint8Array): Header {
  return {
    path: readPath(block),
    typeflag: String.fromCharCode(block[156] as number),
    mode: readNumber(block, 100, 8, "mode") & 0o7777,
    uid: readNumber(block, 108, 8, "owner"),
    gid: readNumber(block, 116, 8, "group"),
    size: readNumber(block, 124, 12, "size"),
    mtime: readNumber(block, 136, 12, "time"),
    link: readText(block, 157, 100),
  }
}
