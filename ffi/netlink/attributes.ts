/** Netlink attributes: struct nlattr of linux/netlink.h. Both processors that toybox is built for are little-endian. */
import { NLA_F_NESTED, NLA_F_NET_BYTEORDER } from "../constants/netlink.ts"

/** An attribute; `flags` are NLA_F_*, which the kernel keeps in the upper bits of the type. */
export interface Attribute {
  readonly type: number
  readonly flags: number
  readonly data: Uint8Array
}

/** What came over netlink is no netlink message, or not what was asked for. */
export class BogusAnswer extends Error {
  override readonly name = "BogusAnswer"
}

const HEADER = 4
const FLAGS = NLA_F_NESTED | NLA_F_NET_BYTEORDER
const MOST = 0xffff - HEADER

export const align4 = (length: number): number => (length + 3) & ~3

/** An attribute of plain bytes. Throws RangeError beyond 65,531 of them. */
export function bytes(type: number, data: Uint8Array, flags = 0): Attribute {
  if (data.length > MOST) throw new RangeError(`a netlink attribute holds at most ${MOST} bytes, not ${data.length}`)
  return { type, flags, data }
}

function whole(type: number, size: 1 | 2 | 4 | 8, value: number | bigint, littleEndian: boolean): Attribute {
  const data = new Uint8Array(size)
  let rest = BigInt(value)
  for (let i = 0; i < size; i++) {
    data[littleEndian ? i : size - 1 - i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return { type, flags: 0, data }
}

/** Whole numbers in the machine's byte order; negative ones as two's complement. */
export const u8 = (type: number, value: number): Attribute => whole(type, 1, value, true)
export const u16 = (type: number, value: number): Attribute => whole(type, 2, value, true)
export const u32 = (type: number, value: number): Attribute => whole(type, 4, value, true)
export const u64 = (type: number, value: number | bigint): Attribute => whole(type, 8, value, true)

/** Whole numbers in network byte order, as nf_tables has them. */
export const be16 = (type: number, value: number): Attribute => whole(type, 2, value, false)
export const be32 = (type: number, value: number): Attribute => whole(type, 4, value, false)
export const be64 = (type: number, value: number | bigint): Attribute => whole(type, 8, value, false)

const encoder = new TextEncoder()

/** A NUL-terminated string. Throws RangeError where the text has a NUL of its own. */
export function text(type: number, value: string): Attribute {
  if (value.includes("\0")) throw new RangeError("a netlink string cannot hold a NUL")
  return bytes(type, encoder.encode(`${value}\0`))
}

/** One that says all by being there. */
export const flag = (type: number): Attribute => ({ type, flags: 0, data: new Uint8Array(0) })

/** Attributes in an attribute. */
export const nested = (type: number, attributes: readonly Attribute[], flags = NLA_F_NESTED): Attribute =>
  bytes(type, encodeAttributes(attributes), flags)

/** How many bytes attributes take. */
export function attributesSize(attributes: readonly Attribute[]): number {
  let size = 0
  for (const { data } of attributes) size += HEADER + align4(data.length)
  return size
}

/** Writes attributes at `at` of zeroed memory; returns where they end. */
export function writeAttributes(into: Uint8Array, at: number, attributes: readonly Attribute[]): number {
  let position = at
  for (const { type, flags, data } of attributes) {
    const length = HEADER + data.length
    const tag = type | flags
    into[position] = length & 0xff
    into[position + 1] = length >> 8
    into[position + 2] = tag & 0xff
    into[position + 3] = tag >> 8
    into.set(data, position + HEADER)
    position += align4(length)
  }
  return position
}

/** Attributes as bytes, each padded to four. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const into = new Uint8Array(attributesSize(attributes))
  writeAttributes(into, 0, attributes)
  return into
}

/** How long the attribute at a position is, without the padding behind it. Throws BogusAnswer. */
function lengthAt(from: Uint8Array, position: number): number {
  const length = (from[position] ?? 0) | ((from[position + 1] ?? 0) << 8)
  if (position + HEADER > from.length || length < HEADER || position + length > from.length)
    throw new BogusAnswer(`netlink attribute of ${length} bytes at ${position} of ${from.length}`)
  return length
}

const tagAt = (from: Uint8Array, position: number) => (from[position + 2] ?? 0) | ((from[position + 3] ?? 0) << 8)

/** The attributes that fill `from` from `at` to its end. Their data are views of it. Throws BogusAnswer. */
export function decodeAttributes(from: Uint8Array, at = 0): Attribute[] {
  const attributes: Attribute[] = []
  for (let position = at; position < from.length; ) {
    const length = lengthAt(from, position)
    const tag = tagAt(from, position)
    attributes.push({
      type: tag & ~FLAGS,
      flags: tag & FLAGS,
      data: from.subarray(position + HEADER, position + length),
    })
    // The last one's padding may be missing.
    position += align4(length)
  }
  return attributes
}

/** The data of the last attribute of a type, as the kernel itself looks them up. */
export function find(attributes: readonly Attribute[], type: number): Uint8Array | undefined {
  return attributes.findLast((attribute) => attribute.type === type)?.data
}

/** Where the last attribute of a type is among those that fill `from` from `at` to its end; -1 where there is none. */
function positionIn(from: Uint8Array, type: number, at: number): number {
  let found = -1
  for (let position = at; position < from.length; ) {
    const length = lengthAt(from, position)
    if ((tagAt(from, position) & ~FLAGS) === type) found = position
    position += align4(length)
  }
  return found
}

/** As find, of attributes that fill `from` from `at` to its end, and of which little else is asked. Throws BogusAnswer. */
export function findIn(from: Uint8Array, type: number, at = 0): Uint8Array | undefined {
  const position = positionIn(from, type, at)
  return position < 0 ? undefined : attributeAt(from, position).data
}

/** The number of 32 bits in network byte order that an attribute there is. Throws BogusAnswer. */
export function be32In(from: Uint8Array, type: number): number | undefined {
  const position = positionIn(from, type, 0)
  if (position < 0) return undefined
  const length = lengthAt(from, position) - HEADER
  if (length !== 4) throw wrongSize(length, 4)
  const byte = (offset: number) => from[position + HEADER + offset] ?? 0
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0
}

/** The data of the attribute at a position, and where the next one is. Throws BogusAnswer. */
export function attributeAt(from: Uint8Array, position: number): { data: Uint8Array; next: number } {
  const length = lengthAt(from, position)
  return { data: from.subarray(position + HEADER, position + length), next: position + align4(length) }
}

const wrongSize = (length: number, size: number) =>
  new BogusAnswer(`netlink attribute of ${length} bytes where ${size} are expected`)

function sized(data: Uint8Array, size: number): DataView {
  if (data.length !== size) throw wrongSize(data.length, size)
  return new DataView(data.buffer, data.byteOffset, size)
}

/** Data of exactly that size. Throw BogusAnswer. */
export const readU8 = (data: Uint8Array): number => sized(data, 1).getUint8(0)
export const readU16 = (data: Uint8Array): number => sized(data, 2).getUint16(0, true)
export const readU32 = (data: Uint8Array): number => sized(data, 4).getUint32(0, true)
export const readU64 = (data: Uint8Array): bigint => sized(data, 8).getBigUint64(0, true)
export const readBe16 = (data: Uint8Array): number => sized(data, 2).getUint16(0)
export const readBe32 = (data: Uint8Array): number => sized(data, 4).getUint32(0)
export const readBe64 = (data: Uint8Array): bigint => sized(data, 8).getBigUint64(0)

const decoder = new TextDecoder()

/** A string, up to its NUL. */
export function readString(data: Uint8Array): string {
  const end = data.indexOf(0)
  return decoder.decode(end < 0 ? data : data.subarray(0, end))
}
