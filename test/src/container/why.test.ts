import { describe, expect, test } from "bun:test"
import type { Asked } from "../../../src/container/asked.ts"
import type { ContainerRecord, ContainerResult } from "../../../src/container/state.ts"
import { accountLines, enderOf } from "../../../src/container/why.ts"

const name = (number: number) => `SIG${number}`
const record = { spec: { linux: { resources: { memory: { limit: 2 ** 20 }, pids: { limit: 5 } } } } } as ContainerRecord
const result = (more: Partial<ContainerResult>): ContainerResult => ({
  exitCode: 0,
  oomKilled: false,
  started: "2026-01-01T00:00:00.000Z",
  finished: "2026-01-01T00:01:00.000Z",
  ...more,
})
const ender = (more: Partial<ContainerResult>, asked: Partial<Asked> | null = null) =>
  enderOf(
    { record, result: result(more), asked: asked && { command: "stop", signal: 15, started: "", at: "", ...asked } },
    name,
  )

describe("who ended a container", () => {
  test("an exit code says it all", () => {
    expect(ender({ exitCode: 3 })).toBeNull()
  })

  test("toybox stop and kill, where it was them", () => {
    expect(ender({ exitCode: 143, signal: 15 }, {})).toBe("toybox stop, with SIG15")
    expect(ender({ exitCode: 0 }, {})).toBe("toybox stop, with SIG15")
    expect(ender({ exitCode: 137, signal: 9 }, { killedAfter: 10 })).toContain("SIG15 had no effect in 10 s")
    const killed = { exitCode: 137, signal: 9, oomKilled: true }
    expect(ender(killed, { killedAfter: 0 })).toContain("SIG15 had no effect in 0 s")
    expect(ender(killed, { command: "kill", signal: 9 })).toBe("toybox kill, with SIG9")
    expect(ender(killed, {})).toContain("memory limit")
    expect(ender({ exitCode: 139, signal: 11 }, {})).toContain("and then by SIG11 of somebody else")
    expect(ender({ exitCode: 137, signal: 9 }, { command: "kill", signal: 9 })).toBe("toybox kill, with SIG9")
    expect(ender({ exitCode: 3 }, { command: "kill", signal: 1 })).toBeNull()
    // Of one that waited to be started again.
    expect(ender(killed, { command: "kill", signal: 9, waiting: true })).toContain("memory limit")
    expect(ender({ exitCode: 1 }, { signal: 9, waiting: true })).toBeNull()
  })

  test("the kernel, the terminal, others", () => {
    expect(ender({ exitCode: 137, signal: 9, oomKilled: true })).toContain("memory limit")
    expect(ender({ exitCode: 130, signal: 2, passedOn: 2 })).toContain("SIG2, sent to the toybox in the foreground")
    expect(ender({ exitCode: 137, signal: 9 })).toContain("not toybox")
    expect(ender({ exitCode: 127, error: "x: command not found" })).toBe("x: command not found")
  })
})

test("what it used, and which limits it came to", () => {
  const usage = {
    memoryPeakBytes: 2 ** 20,
    cpuUsageUsec: 1_500_000,
    periods: 10,
    throttledPeriods: 4,
    throttledUsec: 250_000,
    pidsLimitHits: 3,
    pressureUsec: { cpu: 400_000, memory: 0, io: null },
  }
  const lines = accountLines(
    {
      record,
      result: result({ exitCode: 1, executed: "2026-01-01T00:00:00.012Z", obtainedMs: 2500, usage }),
      asked: { command: "stop", signal: 15, started: "", at: "", unhandled: true, killedAfter: 10 },
    },
    name,
  )
  expect(Object.fromEntries(lines)).toEqual({
    ended: "2026-01-01T00:01:00.000Z, exit code 1",
    by: "toybox stop: SIG15 had no effect in 10 s, and then SIGKILL",
    hint: expect.stringContaining("run --init"),
    memory: "1 MiB at most, of 1 MiB: reached",
    cpu: "1.5 s; held back for 0.25 s, in 4 of 10 periods",
    processes: "limit of 5 reached: 3 could not be made",
    "waited for": "cpu 0.4 s",
    took: "image 2.5 s, set-up 12 ms, command 60 s",
  })
})
