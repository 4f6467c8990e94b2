/**
 * The frames of a zstd stream, followed without decompressing: RFC 8878, section 3.1. The decompressor ends quietly where a
 * frame is cut off, or something else follows it; this tells.
 */
import { StreamError } from "./errors.ts"

const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50
const RAW_BLOCK = 0
const RLE_BLOCK = 1
const RESERVED_BLOCK = 3

export interface FrameWalker {
  /** The next compressed bytes. Throws StreamError where a frame should begin and none does. */
  push(chunk: Uint8Array): void
  /** There are no more. Throws StreamError in the middle of a frame. */
  finish(): void
}

type State = "magic" | "skip-size" | "descriptor" | "header" | "block" | "body" | "checksum"

export function createFrameWalker(): FrameWalker {
  let state: State = "magic"
  let position = 0
  let value = 0
  let wanted = 4 // bytes of the field, or to pass over
  let taken = 0
  let hasChecksum = false
  let isLast = false

  function expect(next: State, size: number): void {
    state = next
    wanted = size
    taken = 0
    value = 0
  }
  const nextFrame = () => expect("magic", 4)
  function afterBlock(): void {
    if (!isLast) expect("block", 3)
    else if (hasChecksum) expect("checksum", 4)
    else nextFrame()
  }

  function onField(): void {
    switch (state) {
      case "magic":
        if (value === MAGIC) expect("descriptor", 1)
        else if ((value & 0xfffffff0) >>> 0 === SKIPPABLE) expect("skip-size", 4)
        else throw new StreamError(`has something that is no zstd frame at byte ${position - 4}`)
        return
      case "skip-size":
        isLast = true
        hasChecksum = false
        if (value === 0) nextFrame()
        else expect("body", value)
        return
      case "descriptor": {
        hasChecksum = (value & 4) !== 0
        const single = (value & 0x20) !== 0
        const sizeBytes = [single ? 1 : 0, 2, 4, 8][value >> 6] as number
        const dictionaryBytes = [0, 1, 2, 4][value & 3] as number
        const size = (single ? 0 : 1) + dictionaryBytes + sizeBytes
        expect("header", size)
        return
      }
      case "block": {
        isLast = (value & 1) === 1
        const type = (value >> 1) & 3
        if (type === RESERVED_BLOCK)
          throw new StreamError(`is corrupt at byte ${position - 3}: a zstd block of no type`)
        const size = type === RLE_BLOCK ? 1 : value >>> 3
        if (size === 0 && type !== RAW_BLOCK)
          throw new StreamError(`is corrupt at byte ${position - 3}: an empty block`)
        if (size === 0) afterBlock()
        else expect("body", size)
        return
      }
      case "header":
        expect("block", 3)
        return
      case "body":
        afterBlock()
        return
      case "checksum":
        nextFrame()
    }
  }

  const isField = () => state === "magic" || state === "skip-size" || state === "descriptor" || state === "block"

  return {
    push(chunk) {
      for (let at = 0; at < chunk.length; ) {
        const size = Math.min(wanted - taken, chunk.length - at)
        if (isField()) {
          for (let i = 0; i < size; i++) value = (value | ((chunk[at + i] as number) << (8 * (taken + i)))) >>> 0
        }
        at += size
        taken += size
        position += size
        if (taken === wanted) onField()
      }
    },
    finish() {
      if (state === "magic" && taken === 0) return
      throw new StreamError(`is truncated: it ends at byte ${position}, in a zstd frame`)
    },
  }
}
