import { describe, expect, test } from "bun:test"
import { deviceLines } from "../../../../src/cgroup/devices.ts"
import { ToyboxError } from "../../../../src/errors.ts"
import type { LinuxDeviceCgroup } from "../../../../src/oci/resources.ts"
import { DEFAULT_DEVICE_RULES } from "../../../../src/spec/defaults.ts"
import { type Random, random } from "../random.ts"

const shown = (rules: readonly LinuxDeviceCgroup[]) => deviceLines(rules).map(({ file, value }) => `${file} ${value}`)

test("default rules", () => {
  expect(shown(DEFAULT_DEVICE_RULES)).toEqual([
    "devices.deny a",
    "devices.allow c *:* m",
    "devices.allow b *:* m",
    "devices.allow c 1:3 rwm",
    "devices.allow c 1:5 rwm",
    "devices.allow c 1:7 rwm",
    "devices.allow c 1:8 rwm",
    "devices.allow c 1:9 rwm",
    "devices.allow c 5:0 rwm",
    "devices.allow c 5:1 rwm",
    "devices.allow c 5:2 rwm",
    "devices.allow c 136:* rwm",
  ])
})

describe("reduction to a default with exceptions", () => {
  test.each([
    ["no rules write nothing", [], []],
    ["everything", [{ allow: false }, { allow: true, type: "a" }], ["devices.allow a"]],
    [
      "both types, no reset",
      [{ allow: false }, { allow: true, access: "m" }],
      ["devices.deny a", "devices.allow b *:* m", "devices.allow c *:* m"],
    ],
    [
      "a later denial takes an earlier permission back",
      [
        { allow: false },
        { allow: true, type: "c", major: 1, minor: 3 },
        { allow: false, type: "c", major: 1, access: "w" },
      ],
      ["devices.deny a", "devices.allow c 1:3 rm"],
    ],
    [
      "all but one",
      [{ allow: true }, { allow: false, type: "b", major: 8 }],
      ["devices.allow a", "devices.deny b 8:* rwm"],
    ],
    [
      "the same device twice",
      [
        { allow: true, type: "c", major: 1, minor: 3, access: "r" },
        { allow: true, type: "c", major: 1, minor: 3, access: "w" },
      ],
      ["devices.deny a", "devices.allow c 1:3 rw"],
    ],
  ])("%s", (_, rules, lines) => {
    expect(shown(rules)).toEqual(lines)
  })

  test("a hole in a permission is an error, since the kernel would ignore it", () => {
    const rules = [
      { allow: true, type: "c", major: 1 },
      { allow: false, type: "c", major: 1, minor: 5 },
    ]
    expect(() => deviceLines(rules)).toThrow("cgroup v1 cannot deny c 1:5 rwm after c 1:* rwm")
  })
})

/** The kernel's controller: security/device_cgroup.c, for one access letter of one device. */
function kernelAllows(rules: readonly LinuxDeviceCgroup[], type: string, major: number, minor: number, letter: string) {
  let allow = true
  let exceptions: string[] = []
  for (const line of shown(rules)) {
    const [file, kind, ...rest] = line.split(" ")
    if (kind === "a") {
      allow = file === "devices.allow"
      exceptions = []
    } else exceptions.push([kind, ...rest].join(" "))
  }
  const excepted = exceptions.some((exception) => {
    const [kind, numbers = "", letters = ""] = exception.split(" ")
    const [m, n] = numbers.split(":")
    const same = kind === type && (m === "*" || m === `${major}`) && (n === "*" || n === `${minor}`)
    return same && letters.includes(letter)
  })
  return allow !== excepted
}

function anyRule({ chance, pick }: Random): LinuxDeviceCgroup {
  return {
    allow: chance(0.5),
    type: pick(["a", "b", "c"]),
    major: pick([-1, 1, 5]),
    minor: pick([-1, 0, 3]),
    access: pick(["r", "w", "m", "rw", "rwm"]),
  }
}

test("what the kernel then does is what the rules say, or the rules are refused (seed 6)", () => {
  const source = random(6)
  let checked = 0
  for (let round = 0; round < 3000; round++) {
    const rules = Array.from({ length: source.int(1, 6) }, () => anyRule(source))
    const type = source.pick(["b", "c"])
    const [major, minor, letter] = [source.pick([1, 5, 9]), source.pick([0, 3, 9]), source.pick(["r", "w", "m"])]
    const last = rules.findLast(
      (rule) =>
        (rule.type === "a" || rule.type === type) &&
        (rule.major === -1 || rule.major === major) &&
        (rule.minor === -1 || rule.minor === minor) &&
        (rule.access ?? "").includes(letter),
    )
    try {
      const answer = kernelAllows(rules, type, major, minor, letter)
      if (answer !== (last?.allow ?? false))
        throw new Error(JSON.stringify({ rules, type, major, minor, letter, answer }))
      checked++
    } catch (error) {
      if (!(error instanceof ToyboxError)) throw error
    }
  }
  expect(checked).toBeGreaterThan(1000)
})
