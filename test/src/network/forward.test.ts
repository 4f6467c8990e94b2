import { expect, test } from "bun:test"
import { createRest } from "../../../src/network/forward/index.ts"
import { roomIn } from "../../../src/network/forward/room.ts"

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

test("there is room for as many as have descriptors, a pipe each way included; datagrams have a quarter", () => {
  expect(roomIn(1024, { ports: 1, datagrams: false })).toEqual({ connections: 159, flows: 0 })
  expect(roomIn(1024, { ports: 2, datagrams: true })).toEqual({ connections: 119, flows: 239 })
  expect(roomIn(1 << 20, { ports: 2, datagrams: true }).flows).toBe(4096)
  expect(roomIn(64, { ports: 9, datagrams: true })).toEqual({ connections: 1, flows: 1 })
})
