import { describe, expect, test } from "bun:test"
import { backOff, formatPolicy, restartsAfter, startsAtBoot } from "../../../src/container/restart-policy.ts"

const failed = { exitCode: 1, asked: false, restarts: 0 }
const well = { exitCode: 0, asked: false, restarts: 7 }
const asked = { exitCode: 143, asked: true, restarts: 0 }

describe("restart policies", () => {
  test.each([
    [{ name: "always" } as const, true, true, false],
    [{ name: "unless-stopped" } as const, true, true, false],
    [{ name: "on-failure", most: null } as const, true, false, false],
  ])("%j", (policy, afterFailure, afterSuccess, afterStop) => {
    expect(restartsAfter(policy, failed)).toBe(afterFailure)
    expect(restartsAfter(policy, well)).toBe(afterSuccess)
    expect(restartsAfter(policy, asked)).toBe(afterStop)
  })

  test("on-failure:2 starts it twice again", () => {
    const policy = { name: "on-failure", most: 2 } as const
    expect([0, 1, 2, 3].map((restarts) => restartsAfter(policy, { ...failed, restarts }))).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(formatPolicy(policy)).toBe("on-failure:2")
  })

  test("with the machine: what was stopped stays so, but with always", () => {
    const policies = [{ name: "always" }, { name: "unless-stopped" }, { name: "on-failure", most: null }] as const
    expect(policies.map((policy) => startsAtBoot(policy, failed))).toEqual([true, true, true])
    expect(policies.map((policy) => startsAtBoot(policy, well))).toEqual([true, true, false])
    expect(policies.map((policy) => startsAtBoot(policy, asked))).toEqual([true, false, false])
  })

  test("the wait doubles up to a minute, and begins anew after ten seconds of running", () => {
    const waits: number[] = []
    for (let before: number | undefined; waits.length < 12; before = waits.at(-1)) waits.push(backOff(before, 50))
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000])
    expect(backOff(60_000, 10_000)).toBe(100)
  })
})
