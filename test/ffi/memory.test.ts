import { expect, test } from "bun:test"
import {
  createArena,
  getU16,
  getU32,
  getWord,
  placeBytes,
  placeString,
  release,
  reserve,
  setWord,
} from "../../ffi/memory.ts"
import { random } from "../src/cgroup/random.ts"

const BASE = 0x600000
const arenaOf = (size: number) => createArena(new ArrayBuffer(size), BASE)

test.each([0, 1, -1, -100, 2 ** 31, 2 ** 32, -(2 ** 31) - 1, 2 ** 52 + 1, -(2 ** 52), Number.MAX_SAFE_INTEGER])(
  "a word keeps %d",
  (value) => {
    const arena = arenaOf(16)
    setWord(arena, 8, value)
    expect(getWord(arena, 8)).toBe(value)
    expect(new DataView(arena.bytes.buffer).getBigInt64(8, true)).toBe(BigInt(value))
    expect(getWord(arena, 0)).toBe(0)
  },
)

test("words are those of the machine, for every number that fits (seed 1)", () => {
  const { int, chance } = random(1)
  const arena = arenaOf(8)
  const view = new DataView(arena.bytes.buffer)
  for (let round = 0; round < 5000; round++) {
    const size = int(0, 52)
    const value = Math.floor(int(0, 2 ** 30) * 2 ** (size - 30)) * (chance(0.5) ? 1 : -1)
    setWord(arena, 0, value)
    if (view.getBigInt64(0, true) !== BigInt(value) || getWord(arena, 0) !== value + 0) throw new Error(String(value))
    const big = BigInt(value) * 4093n
    setWord(arena, 0, big)
    if (view.getBigInt64(0, true) !== BigInt.asIntN(64, big)) throw new Error(String(big))
  }
})

test("a bigint of 64 bits is stored whole", () => {
  const arena = arenaOf(8)
  setWord(arena, 0, 0xffffffffffffffffn)
  expect([...arena.bytes]).toEqual(Array(8).fill(255))
  expect([getWord(arena, 0), getU32(arena, 4), getU16(arena, 2)]).toEqual([-1, 0xffffffff, 0xffff])
})

test("places do not overlap, are aligned and end with a NUL (seed 2)", () => {
  const { int, pick, chance } = random(2)
  for (let round = 0; round < 50; round++) {
    const arena = arenaOf(1 << 16)
    const placed: { address: number; bytes: Uint8Array }[] = []
    for (let n = 0; n < 60; n++) {
      const text = Array.from({ length: int(0, 40) }, () => pick(["a", "/", "é", "容", "\u{1f4e6}"])).join("")
      const utf8 = new TextEncoder().encode(text)
      if (chance(0.5)) placed.push({ address: placeString(arena, text), bytes: Uint8Array.from([...utf8, 0]) })
      else placed.push({ address: placeBytes(arena, utf8), bytes: utf8 })
    }
    for (const { address, bytes } of placed) {
      expect(address % 8).toBe(0)
      expect([...arena.bytes.slice(address - BASE, address - BASE + bytes.length)]).toEqual([...bytes])
    }
  }
})

test("what is given back is zeroed and used again", () => {
  const arena = arenaOf(64)
  reserve(arena, 8)
  const mark = arena.used
  const first = placeString(arena, "something")
  release(arena, mark)
  expect(arena.bytes.every((byte) => byte === 0)).toBe(true)
  expect(placeString(arena, "x")).toBe(first)
})

test("a full region is an error, not a write beyond its end", () => {
  const arena = arenaOf(64)
  expect(() => reserve(arena, 65)).toThrow("too long")
  expect(() => placeString(arenaOf(64), "x".repeat(64))).toThrow("too long")
  expect(() => placeBytes(arenaOf(64), new Uint8Array(65))).toThrow("too long")
})
