import { describe, expect, test } from "bun:test"
import { afterProbe, type Health, type HealthCheck, UNKNOWN_HEALTH, untilProbe } from "../../../src/container/health.ts"

const CHECK: HealthCheck = {
  command: ["true"],
  interval: 30_000,
  timeout: 30_000,
  startPeriod: 10_000,
  startInterval: 5000,
  retries: 3,
}
const probe = (exitCode: number) => ({ start: "", end: "", exitCode, output: "" })
const after = (codes: readonly number[], since = 60_000, from: Health = UNKNOWN_HEALTH) =>
  codes.reduce((health, code) => afterProbe(health, probe(code), CHECK, since), from)

describe("health", () => {
  test.each([
    [[0], "healthy", 0],
    [[1], "starting", 1],
    [[1, 1], "starting", 2],
    [[1, 1, 1], "unhealthy", 3],
    [[1, 1, 0], "healthy", 0],
    [[0, 1, 1], "healthy", 2],
    [[0, 1, 1, 1], "unhealthy", 3],
    [[0, -1, 2, 127, 0], "healthy", 0],
  ] as const)("after %j is %s", (codes, status, failingStreak) => {
    expect(after(codes)).toMatchObject({ status, failingStreak })
  })

  test("no failure counts in the start period, until it has been healthy", () => {
    expect(after([1, 1, 1, 1, 1], 9999)).toMatchObject({ status: "starting", failingStreak: 0 })
    expect(after([0, 1, 1, 1], 9999)).toMatchObject({ status: "unhealthy", failingStreak: 3 })
  })

  test("the last five are kept", () => {
    expect(after([1, 2, 3, 4, 5, 6, 7]).log.map(({ exitCode }) => exitCode)).toEqual([3, 4, 5, 6, 7])
  })

  test("it is asked for more often while it starts", () => {
    expect(untilProbe(CHECK, true, 0)).toBe(5000)
    expect(untilProbe(CHECK, false, 0)).toBe(30_000)
    expect(untilProbe(CHECK, true, 10_000)).toBe(30_000)
    expect(untilProbe({ ...CHECK, startPeriod: 0 }, true, 0)).toBe(30_000)
  })
})
