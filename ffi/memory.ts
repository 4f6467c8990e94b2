/** Memory with known addresses: bump allocators over chunks that do not move, written through views. */
const encoder = new TextEncoder()

/** A bump allocator; grows by further chunks, so that addresses never change. */
export interface Arena {
  /** Reserves `size` zeroed bytes, 8-byte aligned, and returns their place. */
  allocate(size: number): Place
  /** Gives everything allocated since the mark back, zeroed again by the next allocation. */
  mark(): number
  reset(mark: number): void
}

/** Some bytes of an arena: views of the whole chunk, the offset in it, and the address in the process. */
export interface Place {
  readonly view: DataView
  readonly bytes: Uint8Array
  readonly offset: number
  readonly address: number
}

/** Yields `size` bytes of zeroed memory and the address they have where the calls run. */
export type AddChunk = (size: number) => { buffer: ArrayBuffer; base: number }

interface Chunk {
  view: DataView
  bytes: Uint8Array
  base: number
  used: number
  size: number
}

/** An arena that grows by chunks of `chunkSize` bytes, or more where one allocation needs more. */
export function createArena(addChunk: AddChunk, chunkSize: number): Arena {
  const add = (size: number): Chunk => {
    const { buffer, base } = addChunk(size)
    return { view: new DataView(buffer), bytes: new Uint8Array(buffer), base, used: 0, size }
  }
  let current = add(chunkSize)
  let dirty = 0
  return {
    allocate(size) {
      const rounded = (size + 7) & ~7
      if (current.used + rounded > current.size) {
        // Large lists are built once per process: an overflow chunk is kept and the first one not returned to.
        current = add(Math.max(chunkSize, (rounded + 0xffff) & ~0xffff))
        dirty = 0
      }
      const { view, bytes, base, used } = current
      if (used < dirty) bytes.fill(0, used, Math.min(used + rounded, dirty))
      current.used = used + rounded
      return { view, bytes, offset: used, address: base + used }
    },
    mark: () => current.used,
    reset(mark) {
      if (current.used > dirty) dirty = current.used
      current.used = mark
    },
  }
}

/** Writes a 64-bit value; numbers are taken as signed integers up to 2^53. */
export function setWord(view: DataView, offset: number, value: number | bigint): void {
  if (typeof value === "bigint") {
    view.setBigUint64(offset, BigInt.asUintN(64, value), true)
    return
  }
  view.setUint32(offset, value >>> 0, true)
  view.setInt32(offset + 4, Math.floor(value / 0x100000000), true)
}

/** Reads a signed 64-bit value that fits a double. */
export function getWord(view: DataView, offset: number): number {
  return view.getInt32(offset + 4, true) * 0x100000000 + view.getUint32(offset, true)
}

/** Copies `text` as UTF-8 with a closing NUL. */
export function placeString(arena: Arena, text: string): Place {
  const place = arena.allocate(text.length * 3 + 1)
  encoder.encodeInto(text, place.bytes.subarray(place.offset, place.offset + text.length * 3))
  return place
}

/** Copies bytes. */
export function placeBytes(arena: Arena, bytes: Uint8Array): Place {
  const place = arena.allocate(bytes.length)
  place.bytes.set(bytes, place.offset)
  return place
}
