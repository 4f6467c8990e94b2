import { describe, expect, test } from "bun:test"
import { memoryTotal, systemName } from "../../../src/cli/info.ts"

describe("the name of the system in os-release(5)", () => {
  test.each([
    ['NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', "Debian GNU/Linux 12 (bookworm)"],
    ["PRETTY_NAME=Plain\n", "Plain"],
    ["PRETTY_NAME='Single quotes'\n", "Single quotes"],
    ['PRETTY_NAME="A \\"quoted\\" \\$ \\\\ name"\n', 'A "quoted" $ \\ name'],
    ["NAME=x\n", null],
    ["", null],
  ])("%j", (text, expected) => {
    expect(systemName(text)).toBe(expected)
  })
})

test("the memory in /proc/meminfo is in KiB there", () => {
  expect(memoryTotal("MemTotal:        1024 kB\nMemFree:           1 kB\n")).toBe(1 << 20)
})
