import { describe, expect, test } from "bun:test"
import { allowsEverything, deviceProgram } from "../../../../src/cgroup/devices.ts"
import type { LinuxDeviceCgroup } from "../../../../src/oci/resources.ts"
import { DEFAULT_DEVICE_RULES } from "../../../../src/spec/defaults.ts"
import { type Random, random } from "../random.ts"
import { type DeviceAccess, interpret, unreachable } from "./interpreter.ts"

const BITS = { m: 1, r: 2, w: 4 } as const

/** The specification, read literally: for each letter of the access the last rule that matches decides. */
function reference(rules: readonly LinuxDeviceCgroup[], { type, access, major, minor }: DeviceAccess): boolean {
  return (["m", "r", "w"] as const).every((letter) => {
    if (!(access & BITS[letter])) return true
    const last = rules.findLast(
      (rule) =>
        (rule.type === undefined || rule.type === "a" || rule.type === type) &&
        (rule.major === undefined || rule.major === -1 || rule.major === major) &&
        (rule.minor === undefined || rule.minor === -1 || rule.minor === minor) &&
        (rule.access ?? "rwm").includes(letter),
    )
    return last?.allow ?? false
  })
}

function anyRule({ chance, int, pick }: Random): LinuxDeviceCgroup {
  return {
    allow: chance(0.5),
    ...(chance(0.9) && { type: pick(["a", "b", "c"]) }),
    ...(chance(0.7) && { major: pick([-1, 0, 1, 5, 4095]) }),
    ...(chance(0.7) && { minor: pick([-1, 0, 3, int(0, 9), 1048575]) }),
    ...(chance(0.8) && { access: pick(["r", "w", "m", "rw", "rm", "wm", "rwm", "mr"]) }),
  }
}

const anyAccess = ({ int, pick }: Random): DeviceAccess => ({
  type: pick(["b", "c"]),
  access: int(1, 7),
  major: pick([0, 1, 5, 4095]),
  minor: pick([0, 3, int(0, 9), 1048575]),
})

test("the program decides as the specification says, and the verifier can reach all of it (seed 5)", () => {
  const source = random(5)
  const answers = [0, 0]
  for (let round = 0; round < 2000; round++) {
    const rules = Array.from({ length: source.int(0, 12) }, () => anyRule(source))
    const program = deviceProgram(rules)
    expect(unreachable(program)).toEqual([])
    for (let probe = 0; probe < 20; probe++) {
      const access = anyAccess(source)
      const answer = interpret(program, access)
      answers[answer] = (answers[answer] ?? 0) + 1
      if (answer !== Number(reference(rules, access))) throw new Error(JSON.stringify({ rules, access, answer }))
    }
  }
  expect(Math.min(...answers)).toBeGreaterThan(4000)
})

describe("default rules", () => {
  const allowed = (type: "b" | "c", major: number, minor: number, access: number) =>
    interpret(deviceProgram(DEFAULT_DEVICE_RULES), { type, major, minor, access }) === 1

  test.each([
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
    [5, 2],
    [136, 0],
    [136, 77],
  ])("allow c %i:%i", (major, minor) => {
    expect(allowed("c", major, minor, 7)).toBe(true)
  })

  test.each([
    ["c", 1, 1],
    ["c", 1, 4],
    ["c", 10, 229],
    ["b", 8, 0],
    ["b", 1, 3],
  ] as const)("refuse to open %s %i:%i, but not to make the node", (type, major, minor) => {
    for (const access of [2, 4, 6, 7]) expect(allowed(type, major, minor, access)).toBe(false)
    expect(allowed(type, major, minor, 1)).toBe(true)
  })
})

test("a denied part refuses the whole request, an allowed rest does not help", () => {
  const program = deviceProgram([{ allow: true }, { allow: false, type: "c", major: 1, minor: 3, access: "w" }])
  expect(interpret(program, { type: "c", major: 1, minor: 3, access: 6 })).toBe(0)
  expect(interpret(program, { type: "c", major: 1, minor: 3, access: 2 })).toBe(1)
})

test("no rules refuse, a final total permission needs no program", () => {
  expect(interpret(deviceProgram([]), { type: "c", major: 1, minor: 3, access: 2 })).toBe(0)
  expect(allowsEverything([{ allow: false }, { allow: true, type: "a", access: "rwm" }])).toBe(true)
  expect(allowsEverything([{ allow: true }, { allow: false, type: "c", major: 1 }])).toBe(false)
  expect(allowsEverything([])).toBe(false)
})

test.each([
  [{ allow: true, type: "x" }, "linux.resources.devices[0].type"],
  [{ allow: true, type: "p" }, "linux.resources.devices[0].type"],
  [{ allow: true, major: -2 }, "linux.resources.devices[0].major"],
  [{ allow: true, major: 4096 }, "linux.resources.devices[0].major"],
  [{ allow: true, minor: 1048576 }, "linux.resources.devices[0].minor"],
  [{ allow: true, minor: 1.5 }, "linux.resources.devices[0].minor"],
  [{ allow: true, access: "rx" }, "linux.resources.devices[0].access"],
])("refuses %j", (rule, message) => {
  expect(() => deviceProgram([rule])).toThrow(message)
})
