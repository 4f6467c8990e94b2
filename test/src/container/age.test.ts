import { afterEach, expect, setSystemTime, test } from "bun:test"
import { ageOf } from "../../../src/container/age.ts"
import { startTime } from "../../../src/container/state.ts"

afterEach(() => {
  setSystemTime()
})

test.each(["1970-01-02", "2099-01-01"])("of a process is the same when the clock is set to %s", async (date) => {
  const child = Bun.spawn(["sleep", "100"])
  const begun = performance.now()
  const record = { startTime: startTime(child.pid) ?? "" }
  setSystemTime(new Date(date))
  await Bun.sleep(300)
  child.kill("SIGKILL")
  expect(Math.abs(ageOf(record) - (performance.now() - begun))).toBeLessThan(150)
})

test("of what never began is none", () => {
  expect(ageOf({ startTime: "" })).toBe(0)
})
