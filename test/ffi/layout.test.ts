import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { call, callResult } from "../../ffi/call.ts"
import { at, type Call, out, PROCESS, slot, strings, struct } from "../../ffi/calls.ts"
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR } from "../../ffi/constants/fcntl.ts"
import { close, readAll } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { random } from "../src/cgroup/random.ts"
import { results, run } from "./program.ts"

cleanUpAfterAll()

const ENOENT = 2
const EHWPOISON = 133
const load = (...args: Call["args"]): Call => ({ name: "load", args })

describe("single calls", () => {
  test("give the result, or minus errno", () => {
    expect(call("getpid")).toBe(process.pid)
    expect(callResult("openat", AT_FDCWD, "/nonexistent", O_RDONLY, 0)).toBe(-ENOENT)
    expect(callResult("close", -1)).toBe(-9)
  })

  test("that libc lacks go through syscall(2)", () => {
    expect(callResult("openat2", AT_FDCWD, "/nonexistent", struct([8, 0], [8, 0], [8, 0]), 24)).toBe(-ENOENT)
    expect(() => call("no_such_call")).toThrow("no_such_call")
  })

  test("a negative int is negative: the upper half of the register is not looked at", () => {
    expect(callResult("getpriority", 0, 0)).toBeWithin(-20, 20)
    expect(results([{ name: "kill", args: [process.pid, 0] }])).toEqual([0])
  })

  test("strings are UTF-8, whatever their length (seed 3)", () => {
    const dir = temporaryDirectory()
    const { int, pick } = random(3)
    for (let round = 0; round < 200; round++) {
      const name = `x${Array.from({ length: int(0, 60) }, () => pick(["a", "ß", "容", "\u{1f4e6}", " ", "'"])).join("")}`
      const fd = call("openat", AT_FDCWD, `${dir}/${name}`, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      close(fd)
      expect(new Set(readdirSync(dir)).has(name)).toBe(true)
      call("unlinkat", AT_FDCWD, `${dir}/${name}`, 0)
    }
  })

  test("more arguments than a call has room for are refused", () => {
    expect(() => call("setgroups", 1, 2, 3, 4, 5, 6)).toThrow("too many arguments")
  })
})

describe("lists", () => {
  test("a result goes into a later call", () => {
    const fd = slot("fd")
    const target = `${temporaryDirectory()}/made`
    const bytes = new TextEncoder().encode("geschrieben: ü")
    const walked = run([
      { name: "openat", args: [AT_FDCWD, target, O_RDWR | O_CREAT | O_CLOEXEC, 0o640], into: fd },
      { name: "write", args: [fd, bytes, bytes.length] },
      { name: "close", args: [fd] },
    ])
    expect(walked.stopped).toBe(3)
    expect(walked.value(fd)).toBe(walked.result(0))
    expect(readFileSync(target, "utf8")).toBe("geschrieben: ü")
    expect(callResult("close", walked.value(fd))).toBe(-9)
  })

  test("a slot may be set beforehand", () => {
    const [from, to] = pipe()
    const fd = slot("fd")
    results([{ name: "write", args: [fd, "preset", 6] }], { preset: [[fd, to]] })
    close(to)
    expect(new TextDecoder().decode(readAll(from))).toBe("preset")
    close(from)
  })

  test("the first failure stops the list, with its index and errno", () => {
    const after = slot("after")
    const walked = run([
      { name: "getpid", args: [] },
      { name: "openat", args: [AT_FDCWD, "/nonexistent", O_RDONLY, 0] },
      { name: "getpid", args: [], into: after },
    ])
    expect([walked.stopped, walked.errno(1), walked.result(1)]).toEqual([1, ENOENT, -1])
    expect(walked.value(after)).toBe(0)
  })

  test("a tolerated errno is none, another one is", () => {
    const open = (path: string): Call => ({
      name: "openat",
      args: [AT_FDCWD, path, O_RDONLY, 0],
      tolerate: [ENOENT, EHWPOISON],
    })
    expect(run([open("/nonexistent"), { name: "getpid", args: [] }]).stopped).toBe(2)
    const refused = run([open("/dev/null/below"), { name: "getpid", args: [] }])
    expect([refused.stopped, refused.errno(0)]).toEqual([0, 20])
  })

  test("fails never, null, or unless a masked value is equal", () => {
    const word = (value: number) => load(struct([8, value]), -1)
    expect(run([{ name: "close", args: [-1], fails: "never" }]).stopped).toBe(1)
    expect(run([{ ...word(0), fails: "null" }]).stopped).toBe(0)
    expect(run([{ ...word(5), fails: "null" }]).stopped).toBe(1)
    expect(run([{ ...word(-1), fails: "null" }]).stopped).toBe(1)
    expect(run([{ ...word(0x12f), fails: { mask: 0xff, unless: 0x2f } }]).stopped).toBe(1)
    expect(run([{ ...word(0x12f), fails: { mask: 0xfff, unless: 0x2f } }]).stopped).toBe(0)
  })

  test("load masks, sets and subtracts", () => {
    const source = struct([4, 0xabcd1234], [4, 7])
    const subtrahend = slot("subtrahend")
    const [masked, set, minus, signed] = results(
      [
        load(source, 0xffff),
        load(source, 0xff, 0x100),
        load(source, 0xffff, 0, subtrahend),
        load(source, 0xff, 0, 0x35),
      ],
      { preset: [[subtrahend, 0x1000]] },
    )
    expect([masked, set, minus, signed]).toEqual([0x1234, 0x134, 0x234, -1])
  })

  test("a result is stored into a part of a structure", () => {
    const header = out("header", 24)
    const bytes = results([
      { ...load(struct([8, 0x1122334455]), -1), into: { at: at(header, 4), size: 4 } },
      { ...load(struct([8, -2]), -1), into: { at: at(header, 8), size: 8 } },
      load(header, -1),
      load(at(header, 8), -1),
      load(at(header, 16), -1),
    ])
    expect(bytes.slice(2)).toEqual([0x22334455 * 2 ** 32, -2, 0])
  })

  test("structures and string arrays are laid out as C has them, and placed once", () => {
    const inner = struct([1, 0xff], [1, 2], [2, 0x304], [4, -1])
    const words = strings(["eins", "zwei ü", ""])
    const [whole, nested, first, end] = results([
      load(inner, -1),
      load(struct([8, 1], [8, inner]), -1),
      load(words, -1),
      load(struct([8, words]), -1),
    ])
    expect(BigInt.asUintN(64, BigInt(whole ?? 0)) & 0xffffffffn).toBe(0x030402ffn)
    expect(nested).toBe(1)
    expect(first).toBeGreaterThan(0)
    expect(end).toBeGreaterThan(0)
    const [from, to] = pipe()
    results([{ name: "writev", args: [to, struct([8, "a"], [8, 1], [8, new Uint8Array([98, 0])], [8, 2]), 2] }])
    close(to)
    expect([...readAll(from)]).toEqual([97, 98, 0])
    close(from)
  })

  test("every number, small and large, arrives (seed 4)", () => {
    const { int, chance } = random(4)
    for (let round = 0; round < 300; round++) {
      const value = int(0, 2 ** 30) * (chance(0.5) ? -1 : 1) * (chance(0.3) ? 2 ** 20 : 1)
      expect(results([load(struct([8, value]), -1)])).toEqual([value])
    }
  })
})

describe("jumps", () => {
  test("forward: over what a result makes needless", () => {
    const made = slot("made")
    const open = (path: string): Call => ({
      name: "openat",
      args: [AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0],
      tolerate: [ENOENT],
      jump: { when: "not-equal", value: -1, skip: 1 },
    })
    const make: Call = { name: "getpid", args: [], into: made }
    expect(run([open("/dev/null"), make]).value(made)).toBe(0)
    expect(run([open("/nonexistent"), make]).value(made)).toBe(process.pid)
  })

  test("back: a loop that counts down and ends", () => {
    const [from, to] = pipe()
    const count = out("count", 8)
    const five = struct([8, 5])
    const walked = run([
      { ...load(five, -1), into: { at: at(count, 0), size: 8 } },
      { name: "write", args: [to, "x", 1] },
      {
        ...load(count, -1, 0, 1),
        into: { at: at(count, 0), size: 8 },
        jump: { when: "not-equal", value: 0, skip: -2 },
      },
    ])
    close(to)
    expect(walked.stopped).toBe(3)
    expect(readAll(from).length).toBe(5)
    close(from)
  })

  test("compare under a mask", () => {
    const reached = slot("reached")
    const calls: Call[] = [
      { ...load(struct([8, 0x7f05]), -1), jump: { when: "equal", value: 5, mask: 0xff, skip: 1 } },
      { name: "getpid", args: [], into: reached },
    ]
    expect(run(calls).value(reached)).toBe(0)
  })

  test("beyond the end ends the list", () => {
    expect(
      run([
        { name: "getpid", args: [], jump: { when: "not-equal", value: 0, skip: 1 } },
        { name: "close", args: [-1] },
      ]).stopped,
    ).toBe(2)
  })
})

test("a list that a jump could not reach the end of is refused, traced or not", () => {
  const many = (count: number) => Array.from({ length: count }, (): Call => load(at(PROCESS, 0), -1))
  expect(() => run(many(65_536))).toThrow("they take 65536 calls")
  expect(() => run(many(16_384), { trace: { fd: -1 } })).toThrow("they take 16384 calls")
})

test("PROCESS is not 0 in the parent", () => {
  expect(run([load(at(PROCESS, 0), -1)]).result(0)).not.toBe(0)
})

test("arguments too long for a single call are an error, and the calls after it are not affected", () => {
  for (let round = 0; round < 5; round++) {
    expect(() => call("write", -1, new Uint8Array(64 * 1024 * 1024), 1)).toThrow("too long")
    expect(() => call("access", "x".repeat(64 * 1024 * 1024), 0)).toThrow("too long")
    expect(() => call("setgroups", "x".repeat(30_000), 2, 3, 4, 5, 6)).toThrow("too many arguments")
    expect(() => call("no_such_call", "x".repeat(30_000))).toThrow("no_such_call")
    expect(call("access", "/dev/null", 0)).toBe(0)
  }
})
