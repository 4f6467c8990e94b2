import { describe, expect, test } from "bun:test"
import { checkConstants, compareConstants, compareSyscalls } from "../../build/check-constants.ts"
import { SYSCALL_NUMBERS } from "../../ffi/syscall-numbers.ts"

describe.each(["x64", "arm64"] as const)("on %s", (arch) => {
  test("every constant has the value of the C headers", () => {
    expect(checkConstants(arch)).toEqual([])
  })

  test("system call numbers are those of asm/unistd.h", () => {
    const entries = SYSCALL_NUMBERS[arch]
      .trim()
      .split(" ")
      .map((entry) => entry.split("="))
    const numbers = Object.fromEntries(entries.map(([name = "", number]) => [name, Number(number)]))
    expect(entries.length).toBeGreaterThan(80)
    expect(compareSyscalls(numbers, arch)).toEqual([])
  })
})

test("wrong and unknown constants are found", () => {
  expect(compareConstants({ MS_RDONLY: 2n }, "x64")).toEqual(["MS_RDONLY is 2, but 1 in the headers of x64"])
  expect(compareConstants({ NO_SUCH_CONSTANT: 2n }, "x64")).toEqual(["NO_SUCH_CONSTANT is in no header"])
  expect(compareConstants({ F_SEAL_EXEC: 0x40n }, "x64")).toHaveLength(1)
  expect(compareSyscalls({ read: 1, nothing: 5 }, "x64")).toHaveLength(2)
})

test("values of enums, negative ones and those of one architecture are compared", () => {
  expect(compareConstants({ AT_FDCWD: -100n, IFLA_IFNAME: 3n, CLONE_INTO_CGROUP: 1n << 33n }, "x64")).toEqual([])
  expect(compareConstants({ O_DIRECTORY: 0o200000n }, "x64")).toEqual([])
  expect(compareConstants({ O_DIRECTORY: 0o200000n }, "arm64")).toHaveLength(1)
})
