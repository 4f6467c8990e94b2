import { describe, expect, test } from "bun:test"
import { DEFAULT_DETACH_KEYS, detachFilter, parseDetachKeys } from "../../../src/container/detach-keys.ts"
import { random } from "../cgroup/random.ts"

describe("parseDetachKeys", () => {
  test.each<[string, number[]]>([
    [DEFAULT_DETACH_KEYS, [16, 17]],
    ["", []],
    ["a,b", [97, 98]],
    ["ctrl-A,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,ctrl-@", [1, 27, 28, 29, 30, 31, 0]],
    ["~,.", [126, 46]],
  ])("%j", (text, keys) => {
    expect(parseDetachKeys(text)).toEqual(keys)
  })

  test.each(["ctrl-", "ctrl-1", "ab", "a,", ",", "ü", " ", "ctrl-p ctrl-q", "\u0010", "ctrl--"])(
    "refuses %j",
    (text) => {
      expect(() => parseDetachKeys(text)).toThrow("--detach-keys")
    },
  )
})

/** What comes through until the sequence is found, and whether it is, with the input cut as told. */
function filtered(keys: readonly number[], parts: readonly Uint8Array[]): { through: number[]; found: number } {
  let found = 0
  const filter = detachFilter(keys, () => found++)
  return { through: parts.flatMap((part) => (found > 0 ? [] : [...filter(part)])), found }
}

/** The same by looking at the whole. */
function reference(keys: readonly number[], input: readonly number[]): { through: number[]; found: number } {
  const pending: number[] = []
  const through: number[] = []
  for (const byte of input) {
    pending.push(byte)
    if (pending.length >= keys.length && keys.every((key, i) => pending[pending.length - keys.length + i] === key)) {
      through.push(...pending.splice(0, pending.length - keys.length))
      return { through, found: 1 }
    }
    // What can no longer be the beginning of the sequence goes on.
    while (pending.length > 0 && !pending.every((value, i) => keys[i] === value))
      through.push(pending.shift() as number)
  }
  return { through, found: 0 }
}

test("whatever is typed, in whatever pieces: the sequence is found, the rest goes through unchanged (seed 14)", () => {
  const { int, pick } = random(14)
  let total = 0
  for (let round = 0; round < 3000; round++) {
    const keys = Array.from({ length: int(1, 4) }, () => pick([1, 2]))
    const input = Array.from({ length: int(0, 40) }, () => pick([1, 2, 3]))
    const parts: Uint8Array[] = []
    for (let at = 0; at < input.length; ) {
      const size = int(1, 6)
      parts.push(Uint8Array.from(input.slice(at, at + size)))
      at += size
    }
    const made = filtered(keys, parts)
    expect({ keys, input, ...made }).toEqual({ keys, input, ...reference(keys, input) })
    if (made.found === 0) expect(made.through.length).toBeWithin(input.length - keys.length + 1, input.length + 1)
    total += made.found
  }
  expect(total).toBeGreaterThan(1000)
})

test("a beginning that repeats itself is seen", () => {
  expect(filtered([1, 1, 2], [Uint8Array.from([1, 1, 1, 2, 9])])).toEqual({ through: [1], found: 1 })
  expect(filtered([16, 17], [Uint8Array.from([16]), Uint8Array.from([16]), Uint8Array.from([17])])).toEqual({
    through: [16],
    found: 1,
  })
})

test("no keys: everything goes through", () => {
  expect(filtered([], [Uint8Array.from([0, 16, 17, 255])])).toEqual({ through: [0, 16, 17, 255], found: 0 })
})
