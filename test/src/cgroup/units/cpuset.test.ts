import { describe, expect, test } from "bun:test"
import { formatList, parseCpuset, parseList } from "../../../../src/cgroup/units.ts"
import { random } from "../random.ts"

describe("parseCpuset", () => {
  test.each([
    ["0", "0"],
    ["0-3,5", "0-3,5"],
    ["3,1,2", "1-3"],
    ["0-1,1-2,0", "0-2"],
    ["8191", "8191"],
  ])("%s is %s", (text, shortest) => {
    expect(parseCpuset("--cpuset", text)).toBe(shortest)
  })

  test.each(["", ",", "0,", ",0", "3-1", "0-", "-1", "a", "0 1", "0-1-2", "0x1", "1.5", "8192", "0-4294967295", "0\n"])(
    "refuses %j",
    (text) => {
      const message = `--cpuset: ${JSON.stringify(text)} is not a CPU list (use 0, 0-3 or 0-3,5)`
      expect(() => parseCpuset("--cpuset", text)).toThrow(message)
    },
  )

  test("names what is not online", () => {
    expect(parseCpuset("--cpuset", "1-2", "0-3\n")).toBe("1-2")
    expect(() => parseCpuset("--cpuset", "0-5", "0-1,3\n")).toThrow("CPU 2,4-5 is not online (this machine has 0-1,3)")
    expect(() => parseCpuset("--cpuset-mems", "1", "0\n")).toThrow("memory node 1 is not online")
  })
})

test("formatting and parsing are inverse (seed 4)", () => {
  const { int } = random(4)
  for (let round = 0; round < 500; round++) {
    const numbers = [...new Set(Array.from({ length: int(1, 40) }, () => int(0, 64)))].sort((a, b) => a - b)
    expect(parseList(formatList(numbers))).toEqual(numbers)
  }
})
