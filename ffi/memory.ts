/** Memory with known addresses: one region each, filled from the bottom, that never moves. */

/** A region. `base` is the address that offset 0 has where the calls run; `used` bytes are taken. */
export interface Arena {
  readonly words: Uint32Array
  readonly bytes: Uint8Array
  readonly base: number
  used: number
}

/** There is no room left in an arena. */
export class ArenaFull extends Error {
  override readonly message = "the arguments and the environment are too long"
}

export function createArena(buffer: ArrayBuffer, base: number): Arena {
  return { words: new Uint32Array(buffer), bytes: new Uint8Array(buffer), base, used: 0 }
}

/** Takes `size` zeroed bytes, 8-byte aligned; returns their offset. */
export function reserve(arena: Arena, size: number): number {
  const offset = arena.used
  const end = (offset + size + 7) & ~7
  // A call that is too long must not take the room of those that report it.
  if (end > arena.bytes.length) throw new ArenaFull()
  arena.used = end
  return offset
}

/** Gives back, zeroed, all that was taken since `used` was `mark`. */
export function release(arena: Arena, mark: number): void {
  if (arena.used === mark) return
  arena.bytes.fill(0, mark, arena.used)
  arena.used = mark
}

/** Writes a 64-bit value at an aligned offset; numbers are signed integers up to 2^53. */
export function setWord(arena: Arena, offset: number, value: number | bigint): void {
  const { words } = arena
  const index = offset >> 2
  if (typeof value === "bigint") {
    words[index] = Number(value & 0xffffffffn)
    words[index + 1] = Number((value >> 32n) & 0xffffffffn)
    return
  }
  // Storing into a Uint32Array takes the value modulo 2^32.
  words[index] = value
  // Not Math.floor: to set up Math takes a tenth of a millisecond, at its first use in a process.
  words[index + 1] = (value - (value >>> 0)) / 0x100000000
}

/** Reads a signed 64-bit value that fits a double. */
export function getWord(arena: Arena, offset: number): number {
  const index = offset >> 2
  return ((arena.words[index + 1] ?? 0) | 0) * 0x100000000 + (arena.words[index] ?? 0)
}

/** Reads an unsigned 32-bit value at an aligned offset. */
export const getU32 = (arena: Arena, offset: number): number => arena.words[offset >> 2] ?? 0

/** Reads an unsigned 16-bit value. */
export const getU16 = (arena: Arena, offset: number): number =>
  (arena.bytes[offset] ?? 0) | ((arena.bytes[offset + 1] ?? 0) << 8)

const encoder = new TextEncoder()

/** Copies `text` as UTF-8 with a closing NUL; returns its address. */
export function placeString(arena: Arena, text: string): number {
  const { bytes } = arena
  const offset = arena.used
  // UTF-8 takes at most three bytes for one UTF-16 unit.
  if (offset + text.length * 3 + 1 > bytes.length) throw new ArenaFull()
  const { written } = encoder.encodeInto(text, bytes.subarray(offset))
  arena.used = (offset + written + 8) & ~7
  return arena.base + offset
}

/** Copies bytes; returns their address. */
export function placeBytes(arena: Arena, bytes: Uint8Array): number {
  const offset = reserve(arena, bytes.length)
  arena.bytes.set(bytes, offset)
  return arena.base + offset
}
