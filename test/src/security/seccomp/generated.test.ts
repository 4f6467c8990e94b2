import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { BUILT_IN_MODULE, generateBuiltIn } from "../../../../build/gen-seccomp.ts"
import { generateTables, readSyscalls, SYSCALL_ARCHES, TABLES_MODULE } from "../../../../build/gen-syscalls.ts"
import { builtInFilter } from "../../../../src/security/seccomp/filter.ts"
import { DEFAULT_CAPABILITIES } from "../../../../src/spec/defaults.ts"

test("the tables of system calls are those of the kernel's headers", () => {
  expect(readFileSync(TABLES_MODULE, "utf8") === generateTables(), "run build/gen-syscalls.ts").toBe(true)
  for (const arch of SYSCALL_ARCHES) expect(readSyscalls(arch).size).toBeGreaterThan(300)
})

test("the filters that are ready-made are what the default profile compiles to", () => {
  expect(readFileSync(BUILT_IN_MODULE, "utf8") === generateBuiltIn(), "run build/gen-seccomp.ts").toBe(true)
})

test("a usual container's filter is ready-made, and no other's", () => {
  expect(builtInFilter(DEFAULT_CAPABILITIES)).not.toBeNull()
  expect(builtInFilter([])).not.toBeNull()
  expect(builtInFilter(["CAP_NET_RAW", "CAP_SYS_CHROOT"])).toEqual(builtInFilter(DEFAULT_CAPABILITIES))
  expect(builtInFilter([])).not.toEqual(builtInFilter(DEFAULT_CAPABILITIES))
  for (const name of ["CAP_SYS_ADMIN", "CAP_SYSLOG"]) {
    expect(builtInFilter([name])).toBeNull()
    expect(builtInFilter([...DEFAULT_CAPABILITIES, name])).toBeNull()
  }
})
