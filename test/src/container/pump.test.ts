import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { close, read, readAll, writeAll } from "../../../ffi/fs.ts"
import { arena } from "../../../ffi/libc.ts"
import { release } from "../../../ffi/memory.ts"
import { pipe } from "../../../ffi/pipe.ts"
import { poll } from "../../../ffi/poll.ts"
import { advance, createPump, type Pump, wanted } from "../../../src/container/pump.ts"
import { random } from "../cgroup/random.ts"

// A pump takes memory for good, and the tests of many files are one process.
let mark = 0
beforeEach(() => {
  mark = arena.used
})
afterEach(() => release(arena, mark))

/** Goes on for as long as there is something to do at once. */
function settle(pump: Pump): void {
  while (!pump.done) {
    const [events = 0] = poll([wanted(pump)], 0)
    if (events === 0) return
    advance(pump, events)
  }
}

describe("a pump", () => {
  test("copies every byte, in whatever pieces, and tells the end once (seed 18)", () => {
    const { int } = random(18)
    const [from, input] = pipe()
    const [output, to] = pipe()
    let ends = 0
    const pump = createPump({ from, to, ended: () => ends++ })
    const sent: number[] = []
    for (let round = 0; round < 40; round++) {
      const part = Uint8Array.from({ length: int(1, 1000) }, () => int(0, 255))
      sent.push(...part)
      writeAll(input, part)
      settle(pump)
    }
    close(input)
    settle(pump)
    close(to)
    expect([...readAll(output)]).toEqual(sent)
    expect([pump.done, ends]).toEqual([true, 1])
    for (const fd of [from, output]) close(fd)
  })

  test("a reader that takes nothing holds it up, and loses nothing", () => {
    const [from, input] = pipe()
    const [output, to] = pipe()
    const pump = createPump({ from, to })
    const part = new Uint8Array(60_000).fill(7)
    writeAll(input, part)
    settle(pump)
    writeAll(input, part)
    settle(pump)
    expect(pump.done).toBe(false)
    close(input)
    let size = 0
    while (!pump.done || poll([{ fd: output, events: 1 }], 0)[0] === 1) {
      settle(pump)
      size += read(output, 4096).length
    }
    expect(size).toBe(120_000)
    for (const fd of [from, output, to]) close(fd)
  })

  test("a reader that is gone ends it", () => {
    const [from, input] = pipe()
    const [output, to] = pipe()
    close(output)
    const refused: boolean[] = []
    const pump = createPump({ from, to, ended: (value) => refused.push(value) })
    writeAll(input, new Uint8Array([1, 2, 3]))
    settle(pump)
    expect([pump.done, refused]).toEqual([true, [true]])
    for (const fd of [from, input, to]) close(fd)
  })

  test("a filter sees what is read, and may keep all of it", () => {
    const [from, input] = pipe()
    const [output, to] = pipe()
    const pump = createPump({ from, to, filter: (bytes) => bytes.filter((byte) => byte % 2 === 0) })
    for (const part of [[1, 3], [2, 3, 4], [5], [6]]) {
      writeAll(input, Uint8Array.from(part))
      settle(pump)
    }
    close(input)
    settle(pump)
    close(to)
    expect([...readAll(output)]).toEqual([2, 4, 6])
    for (const fd of [from, output]) close(fd)
  })
})
