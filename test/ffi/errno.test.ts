import { describe, expect, test } from "bun:test"
import { constants } from "node:os"
import { call } from "../../ffi/call.ts"
import { AT_FDCWD } from "../../ffi/constants/fcntl.ts"
import { errnoName, errnoNumber, isErrno, SyscallError } from "../../ffi/errno.ts"

// Second names for the same number: errno(3).
const ALIASES: Record<string, string> = { EWOULDBLOCK: "EAGAIN", ENOTSUP: "EOPNOTSUPP", EDEADLOCK: "EDEADLK" }

test.each(Object.entries(constants.errno))("%s is %i", (name, number) => {
  const official = ALIASES[name] ?? name
  expect(errnoName(number)).toBe(official)
  expect(errnoNumber(official)).toBe(number)
})

test("names and numbers agree up to the last", () => {
  for (let number = 1; number <= 133; number++) {
    const name = errnoName(number)
    // asm-generic/errno.h leaves these two out.
    if (number === 41 || number === 58) expect(name).toBe(String(number))
    else expect(errnoNumber(name)).toBe(number)
  }
  expect(errnoName(133)).toBe("EHWPOISON")
})

test("what is no errno is shown as a number, and refused as a name", () => {
  expect(errnoName(134)).toBe("errno 134")
  expect(errnoName(4095)).toBe("errno 4095")
  for (const name of ["", "0", "ENONSENSE", "enoent", "toString"])
    expect(() => errnoNumber(name)).toThrow("unknown errno")
})

describe("SyscallError", () => {
  test("says call, arguments and errno", () => {
    const error = new SyscallError("mount", 1, '"proc", "/proc"')
    expect(error.message).toBe('mount("proc", "/proc"): EPERM')
    expect({ ...error }).toMatchObject({ syscall: "mount", errno: "EPERM", errnoNumber: 1, detail: '"proc", "/proc"' })
  })

  test("isErrno knows it by name", () => {
    let thrown: unknown
    try {
      call("openat", AT_FDCWD, "/nonexistent/é", 0, 0)
    } catch (error) {
      thrown = error
    }
    expect(isErrno(thrown, "EACCES", "ENOENT")).toBe(true)
    expect(isErrno(thrown, "EACCES")).toBe(false)
    expect(isErrno(new Error("ENOENT"), "ENOENT")).toBe(false)
    expect(String(thrown)).toContain('openat(-100, "/nonexistent/é", 0, 0): ENOENT')
  })
})
