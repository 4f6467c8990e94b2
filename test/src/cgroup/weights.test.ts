import { expect, test } from "bun:test"
import { blkioToIoWeight, ioToBfqWeight, sharesToWeight, weightToShares } from "../../../src/cgroup/weights.ts"

test("shares to weight: the fixed points, and runc's published example", () => {
  expect([1, 2, 1024, 262_144, 300_000].map(sharesToWeight)).toEqual([1, 1, 100, 10_000, 10_000])
  expect(sharesToWeight(2000)).toBe(170)
})

test("shares to weight never falls and stays in range", () => {
  let last = 1
  for (let shares = 2; shares <= 262_144; shares++) {
    const weight = sharesToWeight(shares)
    if (weight < last || weight > 10_000) throw new Error(`${shares} → ${weight} after ${last}`)
    last = weight
  }
})

test("every weight survives the way through shares", () => {
  for (let weight = 1; weight <= 10_000; weight++) {
    if (sharesToWeight(weightToShares(weight)) !== weight) throw new Error(`${weight} → ${weightToShares(weight)}`)
  }
  expect(weightToShares(100)).toBe(1024)
})

test("I/O weights keep their ends", () => {
  expect([10, 1000].map(blkioToIoWeight)).toEqual([1, 10_000])
  expect([1, 100, 10_000].map(ioToBfqWeight)).toEqual([1, 100, 1000])
})
