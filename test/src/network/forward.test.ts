import { expect, test } from "bun:test"
import { createRest } from "../../../src/network/forward/index.ts"

test("who has not served for long goes; serving begins it anew", () => {
  let now = 1000
  const rest = createRest(60, () => now)
  const after = (milliseconds: number, isServing: boolean) => {
    now += milliseconds
    return rest(isServing)
  }
  expect(after(0, false)).toBe(60)
  expect(after(50, false)).toBe(10)
  expect(after(9.5, true)).toBe(60)
  expect(after(59.5, false)).toBe(1)
  expect(after(0.5, false)).toBe(0)
  expect(after(500, false)).toBe(0)
  expect(after(500, true)).toBe(60)
})
