import { describe, expect, test } from "bun:test"
import { call, reserveRegion, stageOne } from "../../ffi/call.ts"
import { type Call, out, type Slot, slot, struct } from "../../ffi/calls.ts"
import { EACCES, ENOENT } from "../../ffi/constants/errno.ts"
import { AT_FDCWD, O_RDONLY, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { errnoName } from "../../ffi/errno.ts"
import { close, readAll } from "../../ffi/fs.ts"
import { readTraceReport } from "../../ffi/layout.ts"
import { createArena } from "../../ffi/memory.ts"
import { pipe } from "../../ffi/pipe.ts"
import { TRACE_REPORT_SIZE } from "../../ffi/records.ts"
import { executableMemfd } from "../../ffi/sealed.ts"
import { type ChildEnd, endChild, FIRST, run, runChild, startChild } from "./program.ts"

const exit = (code: number): Call => ({ name: "_exit", args: [code] })

test("a child goes through the list and ends with its own code", () => {
  expect(runChild(() => [{ name: "getpid", args: [] }, exit(7)])).toEqual({ status: { code: 7 }, reports: [] })
})

test("a child that fails reports index and errno, and exits with 127", () => {
  const { status, reports } = runChild(() => [
    { name: "getpid", args: [] },
    { name: "openat", args: [AT_FDCWD, "/nonexistent", O_RDONLY, 0] },
    exit(0),
  ])
  expect(status).toEqual({ code: 127 })
  expect(reports).toEqual([{ index: FIRST + 1, errno: 2 }])
})

test("of tolerated failures those that ask for it are reported, in order", () => {
  const attempt = (path: string, report: boolean): Call => ({
    name: "execve",
    args: [path, 0, 0],
    tolerate: [ENOENT, EACCES],
    ...(report ? { report } : {}),
  })
  const { status, reports } = runChild(() => [
    attempt("/a", true),
    attempt("/b", false),
    attempt("/dev/null", true),
    exit(3),
  ])
  expect(status).toEqual({ code: 3 })
  expect(reports.map(({ index, errno }) => [index - FIRST, errnoName(errno)])).toEqual([
    [0, "ENOENT"],
    [2, "EACCES"],
  ])
})

test("a check that fails is reported though no call did", () => {
  const path = out("working directory", 4096)
  const { status, reports } = runChild(() => [
    { name: "chdir", args: ["/tmp"] },
    { name: "getcwd", args: [path, 4096] },
    { name: "load", args: [path, 0xff], fails: { mask: 0xff, unless: 0x2f } },
    { name: "load", args: [path, 0xff00], fails: { mask: 0xff00, unless: 0x2f00 } },
    exit(0),
  ])
  expect([status, reports.map(({ index }) => index)]).toEqual([{ code: 127 }, [FIRST + 3]])
})

test("a child that is killed leaves no report", () => {
  const pid = slot("pid")
  const { status, reports } = runChild(() => [
    { name: "getpid", args: [], into: pid },
    { name: "kill", args: [pid, 9] },
    { name: "pause", args: [] },
  ])
  expect([status, reports]).toEqual([{ signal: 9 }, []])
})

test("what a child changes does not show in the parent", () => {
  const before = run([{ name: "umask", args: [0o22] }]).result(0)
  const { status } = runChild(() => [{ name: "umask", args: [0] }, { name: "chdir", args: ["/"] }, exit(0)])
  expect(status).toEqual({ code: 0 })
  expect(run([{ name: "umask", args: [before] }]).result(0)).toBe(0o22)
})

/** A child that waits, and then goes on with what is laid out meanwhile; its own first call puts its pid into `pid`. */
function goingOn(further: (pid: Slot) => readonly Call[]): ChildEnd {
  const region = reserveRegion(true)
  const [goEnd, go] = pipe()
  const [from, to] = pipe()
  const pid = slot("pid")
  const opening: Call[] = [
    { name: "getpid", args: [], into: pid },
    { name: "read", args: [goEnd, out("go", 8), 1], fails: { mask: -1, unless: 1 } },
    { name: "walk", args: [region.base], fails: "never" },
    exit(9),
  ]
  const walked = startChild(opening, to)
  region.layOut(further(pid), stageOne, { reportFd: to, child: true, base: FIRST + opening.length, after: walked })
  call("write", go, new Uint8Array(1), 1)
  for (const fd of [goEnd, go]) close(fd)
  return endChild(walked, from, to)
}

const AFTER_OPENING = FIRST + 4

describe("a list that goes on in another one, which is laid out while the child waits", () => {
  test("ends with the child, and knows the slots of the first", () => {
    expect(
      goingOn((pid) => [
        { name: "kill", args: [pid, 15] },
        { name: "pause", args: [] },
      ]),
    ).toEqual({
      status: { signal: 15 },
      reports: [],
    })
  })

  test("reports its failures by indexes that run on", () => {
    expect(goingOn(() => [{ name: "getpid", args: [] }, { name: "close", args: [-1] }, exit(0)])).toEqual({
      status: { code: 127 },
      reports: [{ index: AFTER_OPENING + 1, errno: 9 }],
    })
  })

  test("may be longer than a first look at its memory takes", () => {
    const long = "x".repeat(200)
    const calls = Array.from(
      { length: 3000 },
      (_, i): Call => ({
        name: "openat",
        args: [AT_FDCWD, `/nonexistent/${i}/${long}`, O_RDONLY, 0],
        tolerate: [ENOENT],
      }),
    )
    expect(goingOn(() => [...calls, exit(5)])).toEqual({ status: { code: 5 }, reports: [] })
  })
})

/** The records of a trace's memfd. */
function traced(fd: number) {
  call("lseek", fd, 0, 0)
  const bytes = readAll(fd)
  close(fd)
  const arena = createArena(bytes.slice().buffer, 0)
  return Array.from({ length: bytes.length / TRACE_REPORT_SIZE }, (_, i) =>
    readTraceReport(arena, i * TRACE_REPORT_SIZE),
  )
}

test("a trace has a record for each call: index, result, errno, and a time that does not go back", () => {
  const fd = executableMemfd()
  const calls: Call[] = [
    { name: "getpid", args: [] },
    { name: "openat", args: [AT_FDCWD, "/nonexistent", O_RDONLY, 0], tolerate: [ENOENT] },
    { name: "load", args: [struct([8, 77]), -1] },
  ]
  const walked = run(calls, { trace: { fd } })
  const records = traced(fd)
  expect(walked.stopped).toBe(3)
  expect(records.map(({ index, result }) => [index, result])).toEqual([
    [0, process.pid],
    [1, -1],
    [2, 77],
  ])
  expect(records[1]?.errno).toBe(2)
  const times = records.map(({ time }) => time)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(Math.abs((times[0] ?? 0) - performance.timeOrigin)).toBeGreaterThan(0)
})

test("jumps go where they go without a trace, and failures have the same index", () => {
  const [from, to] = pipe()
  const count = out("count", 8)
  const calls: Call[] = [
    { name: "load", args: [struct([8, 3]), -1], into: { at: { kind: "at", out: count, offset: 0 }, size: 8 } },
    { name: "write", args: [to, "x", 1] },
    {
      name: "load",
      args: [count, -1, 0, 1],
      into: { at: { kind: "at", out: count, offset: 0 }, size: 8 },
      jump: { when: "not-equal", value: 0, skip: -2 },
    },
    { name: "getpid", args: [], jump: { when: "equal", value: process.pid, skip: 1 } },
    { name: "close", args: [-1] },
    { name: "openat", args: [AT_FDCWD, "/nonexistent", O_RDWR, 0] },
  ]
  const fd = executableMemfd()
  const walked = run(calls, { trace: { fd } })
  close(to)
  expect([walked.stopped, walked.errno(walked.stopped)]).toEqual([5, 2])
  expect(readAll(from).length).toBe(3)
  close(from)
  // The failed call ends the walk before its own record is written.
  expect(traced(fd).map(({ index }) => index)).toEqual([0, 1, 2, 1, 2, 1, 2, 3])
})

test("a program that begins later in the numbering says so in its trace", () => {
  const fd = executableMemfd()
  run([{ name: "getpid", args: [] }], { trace: { fd }, base: 40 })
  expect(traced(fd).map(({ index }) => index)).toEqual([40])
})
