import { expect, test } from "bun:test"
import { rememberValues } from "../../../src/cgroup/undo.ts"
import { ToyboxError } from "../../../src/errors.ts"
import { fail, fakeCgroups } from "./fake.ts"

const write = (file: string, value: string) =>
  ({ kind: "write", dir: "/cg/box", file, value, field: "x", label: "x", asked: true }) as const

const machine = (files: Record<string, string>) =>
  fakeCgroups({ "/cg": { "cpuset.cpus": "0-3\n" }, "/cg/box": files }, () => ({}))

test.each([
  ["cpu.max", "20000 100000", "max 100000\n", "max 100000"],
  ["memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\n", "0"],
  ["io.max", "8:0 rbps=5", "8:16 rbps=7\n", "8:0 rbps=max wbps=max riops=max wiops=max"],
  ["io.max", "8:0 rbps=5", "8:0 rbps=max wbps=9\n", "8:0 rbps=max wbps=9"],
  ["io.weight", "default 300", "default 100\n", "default 100"],
  ["io.weight", "default 300", "", "default 100"],
  ["io.weight", "8:0 300", "default 100\n", "8:0 default"],
  ["blkio.throttle.read_bps_device", "8:0 5", "", "8:0 0"],
  ["cpuset.cpus", "1", "\n", "0-3"],
  ["cpuset.mems", "1", "\n", "\n"],
])("%s given %j after %j is undone by %j", (file, value, text, undone) => {
  const { io, files, log } = machine({ [file]: text })
  const undo = rememberValues([write(file, value)], io)
  files.set(`/cg/box/${file}`, value)
  expect(undo(null)).toBeNull()
  expect(log).toEqual([`${undone} > /cg/box/${file}`])
})

test("the last goes first; what was not changed is left alone; what cannot be put back is told", () => {
  const fake = machine({ a: "1\n", b: "2\n", c: "3\n" })
  const undo = rememberValues([write("a", "7"), write("b", "8"), write("c", "9"), write("missing", "1")], fake.io)
  fake.files.set("/cg/box/a", "7\n")
  fake.files.set("/cg/box/c", "9\n")
  fake.onWrite = (path) => {
    if (path.endsWith("/c")) throw fail("write", "EBUSY", path)
  }
  const error = undo(new ToyboxError("no", { hint: "help" }))
  expect(error).toMatchObject({ message: expect.stringMatching(/^no \(.*EBUSY/), hint: "help" })
  expect(fake.log).toEqual(["1 > /cg/box/a"])
})
