import { describe, expect, test } from "bun:test"
import { parseCpu, parseCpuShares, parseCpus, parseCpuWeight } from "../../../../src/cgroup/units.ts"
import { UsageError } from "../../../../src/errors.ts"
import { random } from "../random.ts"

describe("parseCpu", () => {
  test.each([
    ["10%", 10_000, 100_000],
    ["12.5%", 12_500, 100_000],
    ["200%", 200_000, 100_000],
    ["100m", 10_000, 100_000],
    ["1500m", 150_000, 100_000],
    ["0.1", 10_000, 100_000],
    ["2", 200_000, 100_000],
    ["1.5", 150_000, 100_000],
    ["0.29", 29_000, 100_000],
    ["1%", 1_000, 100_000],
    ["0.5%", 5_000, 1_000_000],
    ["0.1%", 1_000, 1_000_000],
    ["1m", 1_000, 1_000_000],
    ["8192", 819_200_000, 100_000],
  ])("%s", (text, quota, period) => {
    expect(parseCpu("--cpu", text)).toEqual({ quota, period })
  })

  const junk = ["", " ", "10 percent", "ten", "-1", "+1", "1e3", "0x10", "1.", ".5", "1,5", "NaN", "Infinity", "10%%"]
  test.each([...junk, "%", "m", "1 ", " 1", "1\n", "１", "10%m", "1.5.5"])("refuses %j", (text) => {
    const message = `--cpu: ${JSON.stringify(text)} is not a CPU amount (use 10%, 100m, 0.1 or 2)`
    expect(() => parseCpu("--cpu", text)).toThrow(new UsageError(message))
  })

  test.each(["0", "0%", "0.000", "0m"])("refuses nothing: %s", (text) => {
    expect(() => parseCpu("--cpu", text)).toThrow("leave --cpu out for no limit")
  })

  test.each(["0.09%", "0.0009", "0.9m", "0.00000000001"])("refuses less than the kernel can limit to: %s", (text) => {
    expect(() => parseCpu("--cpu", text)).toThrow("at least 0.1% of a CPU")
  })

  test.each(["8193", "819201%", "99999999999999999999", "9007199254740993m"])("refuses too many: %s", (text) => {
    expect(() => parseCpu("--cpu", text)).toThrow("at most 8192")
  })

  test("percent, thousandths and decimals of the same amount agree, within the kernel's limits (seed 1)", () => {
    const { int } = random(1)
    for (let round = 0; round < 2000; round++) {
      const thousandths = int(1, 100_000)
      const whole = Math.floor(thousandths / 1000)
      const fraction = String(thousandths % 1000).padStart(3, "0")
      const expected = parseCpu("--cpu", `${thousandths}m`)
      expect(parseCpu("--cpu", `${whole}.${fraction}`)).toEqual(expected)
      expect(parseCpu("--cpu", `${Math.floor(thousandths / 10)}.${thousandths % 10}%`)).toEqual(expected)
      expect(expected.quota / expected.period).toBeCloseTo(thousandths / 1000, 9)
      expect(expected.quota).toBeGreaterThanOrEqual(1000)
      expect(expected.period).toBeLessThanOrEqual(1_000_000)
    }
  })
})

test("parseCpus takes docker's form only", () => {
  expect(parseCpus("--cpus", "1.5")).toEqual({ quota: 150_000, period: 100_000 })
  expect(() => parseCpus("--cpus", "10%")).toThrow('--cpus: "10%" is not a number of CPUs (use 0.5, 1 or 2.5)')
})

test.each([
  ["parseCpuShares", parseCpuShares, "2", "262144", ["1", "262145", "0", "-2", "2.5", "1e3", "0x400", ""]],
  ["parseCpuWeight", parseCpuWeight, "1", "10000", ["0", "10001", "-1", "1.5", "1e2", "", " 5"]],
] as const)("%s takes its range and nothing else", (_, parse, least, most, bad) => {
  expect(parse("--x", least)).toBe(Number(least))
  expect(parse("--x", most)).toBe(Number(most))
  for (const text of bad) expect(() => parse("--x", text)).toThrow(`--x: ${JSON.stringify(text)} is not a CPU`)
})
