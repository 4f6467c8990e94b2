import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { callResult } from "../../ffi/call.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { SIGUSR2 } from "../../ffi/constants/signal.ts"
import { __WALL, WNOHANG } from "../../ffi/constants/wait.ts"
import { poll } from "../../ffi/poll.ts"
import { kill, openSignals, readSignals, waitChild } from "../../ffi/signal.ts"
import { runChild } from "./program.ts"

// Realtime signals queue, whereas of the others two of a kind may become one; Bun uses neither.
const FIRST = 50
const SECOND = 51

describe("openSignals", () => {
  const fd = openSignals([FIRST, SECOND, SIGUSR2])

  test("signals come through the pipe, in order and all of them", () => {
    for (let i = 0; i < 20; i++) kill(process.pid, i % 3 === 0 ? FIRST : SECOND)
    kill(process.pid, SIGUSR2)
    expect(poll([{ fd, events: POLLIN }], 2000)).toEqual([POLLIN])
    const seen: number[] = []
    // A signal to the process goes to any thread of it: those of the others may come a moment later.
    while (seen.length < 21 && poll([{ fd, events: POLLIN }], 2000)[0]) seen.push(...readSignals(fd))
    expect(seen.sort()).toEqual([...Array(7).fill(FIRST), ...Array(13).fill(SECOND), SIGUSR2].sort())
  })

  test("nothing has come: nothing is read, and nothing blocks", () => {
    expect(readSignals(fd)).toEqual([])
    expect(poll([{ fd, events: POLLIN }], 0)).toEqual([0])
  })

  test("JavaScript goes on, through garbage collections too, and errno of a call is its own", async () => {
    let failed = 0
    for (let round = 0; round < 200; round++) {
      kill(process.pid, FIRST)
      if (callResult("openat", -100, "/nonexistent", 0, 0) !== -2) failed++
      if (round % 50 === 0) Bun.gc(true)
    }
    await Bun.sleep(5)
    expect(failed).toBe(0)
    const seen: number[] = []
    while (poll([{ fd, events: POLLIN }], 50)[0]) seen.push(...readSignals(fd))
    expect(seen).toEqual(Array(200).fill(FIRST))
  })

  test("a pipe that is full loses signals, and does not hang", () => {
    for (let i = 0; i < 20_000; i++) kill(process.pid, FIRST)
    let count = 0
    while (poll([{ fd, events: POLLIN }], 50)[0]) count += readSignals(fd).length
    expect(count).toBeWithin(1000, 20_001)
  })

  test("its descriptors are not passed on", () => {
    expect(callResult("fcntl", fd, 1)).toBe(1)
    expect(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")).toContain("02004000")
  })
})

test("kill tells whether there is such a process", () => {
  expect(kill(process.pid, 0)).toBe(true)
  expect(kill(2 ** 22 + 1, 0)).toBe(false)
})

describe("waitChild", () => {
  test("is null for what is no child, and while one runs", async () => {
    expect(waitChild(1, WNOHANG | __WALL)).toBeNull()
    const child = Bun.spawn(["sleep", "5"])
    expect(waitChild(child.pid, WNOHANG | __WALL)).toBeNull()
    child.kill("SIGKILL")
    await child.exited
  })

  test.each([0, 1, 42, 126, 255])("code %i", (code) => {
    expect(runChild(() => [{ name: "_exit", args: [code] }]).status).toEqual({ code })
  })

  test.each([1, 9, 15, 34, 64])("signal %i", (signal) => {
    const end = runChild(() => [
      { name: "raise", args: [signal] },
      { name: "_exit", args: [0] },
    ])
    expect(end.status).toEqual({ signal })
  })
})
