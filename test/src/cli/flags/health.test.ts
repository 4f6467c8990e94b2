import { describe, expect, test } from "bun:test"
import { parseDuration } from "../../../../src/cli/duration.ts"
import { healthCheck, healthOption } from "../../../../src/cli/flags/health.ts"
import { run } from "../parse.ts"

const IMAGE = {
  Test: ["CMD", "check", "it"],
  Interval: 7e9,
  Timeout: 2e9,
  StartPeriod: 1.5e9,
  StartInterval: 1e9,
  Retries: 5,
}
const DEFAULTS = { interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5000, retries: 3 }

describe("health options", () => {
  test("the image's, the command line's, and both", () => {
    expect(healthCheck(run(), {})).toBeNull()
    expect(healthCheck(run(), { Test: ["NONE"] })).toBeNull()
    expect(healthCheck(run(), { Test: ["CMD-SHELL", "a b"] })).toEqual({
      command: ["/bin/sh", "-c", "a b"],
      ...DEFAULTS,
    })
    const image = { interval: 7000, timeout: 2000, startPeriod: 1500, startInterval: 1000, retries: 5 }
    expect(healthCheck(run(), IMAGE)).toEqual({ command: ["check", "it"], ...image })
    expect(healthCheck(run("--health-cmd", "x"), IMAGE)).toEqual({ command: ["/bin/sh", "-c", "x"], ...image })
    expect(healthCheck(run("--health-interval", "1m30s", "--health-retries", "1"), IMAGE)).toMatchObject({
      command: ["check", "it"],
      interval: 90_000,
      retries: 1,
      timeout: 2000,
    })
    expect(healthCheck(run("--health-cmd", "x", "--health-interval", "2s"), {})?.startInterval).toBe(2000)
    expect(healthCheck(run("--health-interval", "2s", "--health-start-interval", "9s"), IMAGE)?.startInterval).toBe(
      9000,
    )
    expect(healthCheck(run("--no-healthcheck"), IMAGE)).toBeNull()
    expect(healthCheck(run("--health-cmd", "none"), IMAGE)).toBeNull()
    expect(healthCheck(run("--health-cmd", "x", "--health-interval", "0", "--health-retries", "0"), {})).toEqual({
      command: ["/bin/sh", "-c", "x"],
      ...DEFAULTS,
    })
  })

  test.each([
    ["--health-interval", "soon"],
    ["--health-interval", "5"],
    ["--health-timeout", "-1s"],
    ["--health-start-period", "1us"],
    ["--health-retries", "many"],
  ])("refuses %s %s", (option, text) => {
    expect(() => healthCheck(run("--health-cmd", "x", option, text), {})).toThrow(`${option}: "${text}"`)
  })

  test("what is done to one that becomes unhealthy", () => {
    expect(healthCheck(run("--health-on-failure", "restart"), IMAGE)?.onFailure).toBe("restart")
    expect(healthCheck(run("--health-cmd", "x", "--health-on-failure", "none"), {})).not.toHaveProperty("onFailure")
    expect(() => healthCheck(run("--health-on-failure", "kill"), {})).toThrow("needs a health check")
    expect(() => healthCheck(run("--health-cmd", "x", "--health-on-failure", "cry"), {})).toThrow('"cry" is not known')
  })

  test("an image cannot have a machine look without a pause", () => {
    const image = { Test: ["CMD", "x"], Interval: 1, Timeout: 99e6, StartPeriod: 1e6, StartInterval: 5e7 }
    const least = { interval: 100, timeout: 100, startPeriod: 1, startInterval: 100 }
    expect(healthCheck(run(), image)).toMatchObject(least)
    // Who runs it may.
    expect(healthCheck(run("--health-interval", "1ms"), image)).toMatchObject({ ...least, interval: 1 })
  })

  test("bring a supervisor to the foreground, too", () => {
    expect(healthOption(run("--health-cmd", "x"), {}).health?.command).toEqual(["/bin/sh", "-c", "x"])
    expect(() => healthCheck(run("--health-cmd", "x", "--no-healthcheck"), {})).toThrow("does not go with")
  })
})

test.each([
  ["0", 0],
  ["30s", 30_000],
  ["1m30s", 90_000],
  ["1.5s", 1500],
  ["500ms", 500],
  ["1h", 3_600_000],
  ["100us", 0.1],
  ["", null],
  ["5", null],
  ["s", null],
  ["1s2", null],
  ["-1s", null],
] as const)("%j is a duration of %p", (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds)
})
