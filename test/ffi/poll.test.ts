import { describe, expect, test } from "bun:test"
import { call, callResult } from "../../ffi/call.ts"
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from "../../ffi/constants/poll.ts"
import { close, readAll, writeAll } from "../../ffi/fs.ts"
import { pipe, socketPair } from "../../ffi/pipe.ts"
import { poll } from "../../ffi/poll.ts"
import { messageHeader } from "../../ffi/structs.ts"
import { receiveFd } from "../../ffi/tty.ts"

const text = new TextEncoder().encode("text")

describe("pipe", () => {
  test("carries bytes to its end; neither descriptor is passed on", () => {
    const [from, to] = pipe()
    for (const fd of [from, to]) expect(callResult("fcntl", fd, 1)).toBe(1)
    writeAll(to, text)
    close(to)
    expect(readAll(from)).toEqual(text)
    close(from)
  })

  test("a socket pair keeps message boundaries", () => {
    const [a, b] = socketPair()
    writeAll(a, text)
    writeAll(a, text.subarray(0, 1))
    const buffer = new Uint8Array(100)
    expect([callResult("read", b, buffer, 100), callResult("read", b, buffer, 100)]).toEqual([4, 1])
    close(a)
    expect(callResult("read", b, buffer, 100)).toBe(0)
    close(b)
  })
})

describe("poll", () => {
  test("tells for each descriptor what happened; a negative one is left out", () => {
    const [from, to] = pipe()
    const wanted = [
      { fd: from, events: POLLIN },
      { fd: -1, events: POLLIN },
      { fd: to, events: POLLOUT },
    ]
    expect(poll(wanted, 0)).toEqual([0, 0, POLLOUT])
    writeAll(to, text)
    expect(poll(wanted, null)).toEqual([POLLIN, 0, POLLOUT])
    close(to)
    expect(poll(wanted.slice(0, 2), null)).toEqual([POLLIN | POLLHUP, 0])
    close(from)
  })

  test("an end that nobody reads is an error", () => {
    const [from, to] = pipe()
    close(from)
    expect(poll([{ fd: to, events: POLLOUT }], null)).toEqual([POLLOUT | POLLERR])
    close(to)
  })

  test("waits as long as it is told", () => {
    const [from, to] = pipe()
    const start = performance.now()
    expect(poll([{ fd: from, events: POLLIN }], 30.5)).toEqual([0])
    expect(performance.now() - start).toBeWithin(29, 1000)
    for (const milliseconds of [0, 999.9999, 1000])
      expect(poll([{ fd: to, events: POLLOUT }], milliseconds)).toEqual([POLLOUT])
    close(from)
    close(to)
  })

  test("takes sixteen at once", () => {
    const pipes = Array.from({ length: 16 }, pipe)
    writeAll(pipes[15]?.[1] ?? -1, text)
    const happened = poll(
      pipes.map(([fd]) => ({ fd, events: POLLIN })),
      null,
    )
    expect(happened).toEqual([...Array(15).fill(0), POLLIN])
    for (const fd of pipes.flat()) close(fd)
  })

  test("more than sixteen are refused", () => {
    expect(() => poll(Array(17).fill({ fd: -1, events: 0 }), 0)).toThrow()
  })
})

describe("receiveFd", () => {
  test("takes a descriptor that was sent, close-on-exec", () => {
    const [a, b] = socketPair()
    const [from, to] = pipe()
    const control = new DataView(new ArrayBuffer(24))
    control.setUint32(0, 20, true)
    control.setUint32(8, 1, true)
    control.setUint32(12, 1, true)
    control.setUint32(16, to, true)
    call("sendmsg", a, messageHeader(new Uint8Array([0]), 1, new Uint8Array(control.buffer)), 0)
    close(to)
    const received = receiveFd(b) ?? -1
    expect(received).toBeGreaterThan(2)
    expect(callResult("fcntl", received, 1)).toBe(1)
    writeAll(received, text)
    close(received)
    expect(readAll(from)).toEqual(text)
    for (const fd of [a, b, from]) close(fd)
  })

  test("is null when the sender is gone, or sent none", () => {
    const [a, b] = socketPair()
    writeAll(a, new Uint8Array([0]))
    expect(receiveFd(b)).toBeNull()
    close(a)
    expect(receiveFd(b)).toBeNull()
    close(b)
  })
})
