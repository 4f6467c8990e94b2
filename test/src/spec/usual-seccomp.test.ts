import { expect, test } from "bun:test"
import type { Capabilities } from "../../../src/oci/runtime.ts"
import { defaultSeccomp } from "../../../src/security/seccomp/default-profile.ts"
import { MACHINE } from "../../../src/security/seccomp/filter.ts"
import { DEFAULT_CAPABILITIES } from "../../../src/spec/defaults.ts"
import { isUsualSeccomp } from "../../../src/spec/generate.ts"

const sets = (bounding: readonly string[]): Capabilities => ({
  bounding: [...bounding],
  effective: [],
  permitted: [],
  inheritable: [],
  ambient: [],
})

const profile = (capabilities: readonly string[], compat = false) =>
  JSON.parse(JSON.stringify(defaultSeccomp({ capabilities, machine: MACHINE, kernel: [5, 12] }, compat)))

test("a profile as it was written down is known for the usual one", () => {
  expect(isUsualSeccomp(profile(DEFAULT_CAPABILITIES), sets(DEFAULT_CAPABILITIES))).toBe(true)
  expect(isUsualSeccomp(profile([]), sets([]))).toBe(true)
})

test("any other one is not", () => {
  const usual = profile(DEFAULT_CAPABILITIES)
  expect(isUsualSeccomp({ ...usual, defaultErrnoRet: 2 }, sets(DEFAULT_CAPABILITIES))).toBe(false)
  expect(isUsualSeccomp({ ...usual, syscalls: usual.syscalls.slice(1) }, sets(DEFAULT_CAPABILITIES))).toBe(false)
  expect(isUsualSeccomp(profile([]), sets(DEFAULT_CAPABILITIES))).toBe(false)
  expect(isUsualSeccomp(profile(DEFAULT_CAPABILITIES, true), sets(DEFAULT_CAPABILITIES))).toBe(false)
})
