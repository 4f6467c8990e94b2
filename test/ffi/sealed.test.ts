import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { call, callResult } from "../../ffi/call.ts"
import { at, type Call, out, slot, strings, struct } from "../../ffi/calls.ts"
import { ENOENT } from "../../ffi/constants/errno.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_ADD_SEALS,
  F_SETFD,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
} from "../../ffi/constants/fcntl.ts"
import { errnoName } from "../../ffi/errno.ts"
import { close, readAll } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { executableMemfd, fillAndSeal, sealedImage } from "../../ffi/sealed.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { random } from "../src/cgroup/random.ts"
import { type ChildEnd, runChild } from "./program.ts"

cleanUpAfterAll()

const BASE = 100

/** Runs `calls` as stage two: sealed, and exec'd by a child. `keep` are the descriptors it may use. */
function runSealed(calls: readonly Call[], keep: readonly number[] = []): ChildEnd {
  const memfd = executableMemfd()
  try {
    return runChild((reportFd) => {
      fillAndSeal(memfd, sealedImage(calls, { reportFd, base: BASE }))
      return [
        ...[...keep, reportFd].map((fd): Call => ({ name: "fcntl", args: [fd, F_SETFD, 0] })),
        { name: "execveat", args: [memfd, "", strings(["toybox"]), strings([]), AT_EMPTY_PATH] },
      ]
    })
  } finally {
    close(memfd)
  }
}

const exit = (code: number): Call => ({ name: "exit_group", args: [code] })

test("the image runs: writes to a pipe and exits with its code", () => {
  const [from, to] = pipe()
  const bytes = new TextEncoder().encode("aus der zweiten Stufe: ü\n")
  const end = runSealed([{ name: "write", args: [to, bytes, bytes.length] }, exit(7)], [to])
  close(to)
  expect(end).toEqual({ status: { code: 7 }, reports: [] })
  expect(new TextDecoder().decode(readAll(from))).toBe("aus der zweiten Stufe: ü\n")
  close(from)
})

test("slots, structures, loads and jumps work as in stage one", () => {
  const [from, to] = pipe()
  const count = out("count", 8)
  const copy = slot("copy")
  const end = runSealed(
    [
      { name: "dup3", args: [to, 200, O_CLOEXEC], into: copy },
      { name: "load", args: [struct([8, 3]), -1], into: { at: at(count, 0), size: 8 } },
      { name: "writev", args: [copy, struct([8, "abc"], [8, 3], [8, "d"], [8, 1]), 2] },
      {
        name: "load",
        args: [count, -1, 0, 1],
        into: { at: at(count, 0), size: 8 },
        jump: { when: "not-equal", value: 0, skip: -2 },
      },
      { name: "exit_group", args: [copy] },
    ],
    [to],
  )
  close(to)
  expect(end.status).toEqual({ code: 200 })
  expect(new TextDecoder().decode(readAll(from))).toBe("abcdabcdabcd")
  close(from)
})

test("a failure is reported with the index that follows stage one's", () => {
  const open = (path: string, more: Partial<Call> = {}): Call => ({
    name: "openat",
    args: [AT_FDCWD, path, O_RDONLY, 0],
    ...more,
  })
  const { status, reports } = runSealed([
    open("/nonexistent", { tolerate: [ENOENT] }),
    open("/nonexistent", { tolerate: [ENOENT], report: true }),
    open("/dev/null/below", { tolerate: [ENOENT] }),
    exit(0),
  ])
  expect(status).toEqual({ code: 127 })
  expect(reports.map(({ index, errno }) => [index - BASE, errnoName(errno)])).toEqual([
    [1, "ENOENT"],
    [2, "ENOTDIR"],
  ])
})

test("a list that comes to its end is a failure, too: there was nothing to exec", () => {
  const { status, reports } = runSealed([{ name: "umask", args: [0] }])
  expect([status, reports]).toEqual([{ code: 127 }, [{ index: BASE + 1, errno: 0 }]])
})

describe("the seal", () => {
  const sealed = () => {
    const fd = executableMemfd()
    fillAndSeal(fd, sealedImage([exit(0)], { reportFd: 2, base: 0 }))
    return fd
  }

  test("nobody writes, grows or shrinks the image, maps it writable or breaks the seal", () => {
    const fd = sealed()
    const size = readFileSync(`/proc/self/fd/${fd}`).length
    const attempts: [string, ...(string | number)[]][] = [
      ["write", fd, "x", 1],
      ["pwrite", fd, "x", 1, 0],
      ["ftruncate", fd, 0],
      ["ftruncate", fd, size + 1],
      ["fallocate", fd, 0, size, 4096],
      ["mmap", 0, 4096, 3, 1, fd, 0],
      ["fcntl", fd, F_ADD_SEALS, 0],
    ]
    for (const [name, ...args] of attempts) expect([name, callResult(name, ...args)]).toEqual([name, -1])
    const again = call("openat", AT_FDCWD, `/proc/self/fd/${fd}`, O_RDWR | O_CLOEXEC, 0)
    expect(callResult("write", again, "x", 1)).toBe(-1)
    close(again)
    close(fd)
  })

  test("it is an ELF of a few pages, close-on-exec", () => {
    const fd = sealed()
    const bytes = readFileSync(`/proc/self/fd/${fd}`)
    expect([...bytes.subarray(0, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46])
    expect(bytes.length).toBeLessThan(16_384)
    expect(callResult("fcntl", fd, 1)).toBe(1)
    close(fd)
  })
})

describe("exec", () => {
  /** What `sh -c script` with these words and this environment writes. */
  function output(script: string, words: readonly string[], env: readonly string[]): string {
    const path = `${temporaryDirectory()}/output`
    const fd = call("openat", AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    const args = strings(["sh", "-c", script, "sh", ...words])
    const { status, reports } = runSealed(
      [
        { name: "dup3", args: [fd, 1, 0] },
        { name: "execve", args: ["/bin/sh", args, strings(env)] },
      ],
      [fd],
    )
    close(fd)
    expect({ status, reports }).toEqual({ status: { code: 0 }, reports: [] })
    return readFileSync(path, "utf8")
  }

  test("arguments and environment arrive byte for byte (seed 6)", () => {
    const { int, pick } = random(6)
    const word = () =>
      Array.from({ length: int(0, 30) }, () =>
        pick(["a", " ", "'", '"', "\\", "$x", "\n", "ü", "容", "\u{1f4e6}"]),
      ).join("")
    for (let round = 0; round < 10; round++) {
      const words = Array.from({ length: int(0, 8) }, word)
      const value = word()
      expect(output('printf "%s\\0" "$@" "$VALUE"', words, [`VALUE=${value}`])).toBe([...words, value, ""].join("\0"))
    }
  })

  test("a megabyte of them", () => {
    const words = Array.from({ length: 64 }, (_, i) => `${i}ü`.repeat(2000))
    const env = Array.from({ length: 60 }, (_, i) => `V${i}=${"xyz".repeat(5000)}`)
    expect(words.join("").length + env.join("").length).toBeGreaterThan(1_000_000)
    expect(output('printf %s "$@" "$V59"', words, env)).toBe(`${words.join("")}${"xyz".repeat(5000)}`)
  })

  test("more than the kernel takes is E2BIG, not a crash", () => {
    const huge = strings(["sh", "-c", "exit 0", "x".repeat(200_000)])
    const { status, reports } = runSealed([{ name: "execve", args: ["/bin/sh", huge, strings([])] }])
    expect([status, reports.map(({ errno }) => errnoName(errno))]).toEqual([{ code: 127 }, ["E2BIG"]])
  })
})
