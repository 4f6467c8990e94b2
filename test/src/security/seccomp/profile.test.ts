/** Profiles in docker's format: read, and resolved for one container. */
import { describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { parseJson } from "../../../../src/oci/decode.ts"
import { readSeccomp, stringifyExact } from "../../../../src/oci/seccomp.ts"
import { compileSeccomp } from "../../../../src/security/seccomp/compile.ts"
import { defaultProfile, defaultSeccomp } from "../../../../src/security/seccomp/default-profile.ts"
import { readProfile } from "../../../../src/security/seccomp/profile.ts"
import { type Circumstances, resolveProfile } from "../../../../src/security/seccomp/resolve.ts"
import { random } from "../../cgroup/random.ts"

const PLACE: Circumstances = { capabilities: [], machine: "x64", kernel: [6, 1] }
const ALLOW = "SCMP_ACT_ALLOW"

const namesOf = (entry: object, place: Partial<Circumstances>) => {
  const profile = readProfile(
    { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ names: ["read"], action: ALLOW, ...entry }] },
    "p",
  )
  return resolveProfile(profile, { ...PLACE, ...place }).syscalls?.flatMap(({ names }) => names)
}

test.each([
  [{}, {}, true],
  [{ includes: { caps: ["CAP_BPF", "CAP_SYSLOG"] } }, { capabilities: ["CAP_BPF"] }, false],
  [{ includes: { caps: ["CAP_BPF", "CAP_SYSLOG"] } }, { capabilities: ["CAP_BPF", "CAP_SYSLOG"] }, true],
  [{ excludes: { caps: ["CAP_BPF", "CAP_SYSLOG"] } }, { capabilities: ["CAP_BPF"] }, false],
  [{ excludes: { caps: ["CAP_BPF"] } }, {}, true],
  [{ includes: { arches: ["arm64"] } }, {}, false],
  [{ includes: { arches: ["arm64", "amd64"] } }, {}, true],
  [{ includes: { arches: ["arm64"] } }, { machine: "arm64" }, true],
  [{ excludes: { arches: ["amd64"] } }, {}, false],
  [{ includes: { minKernel: "6.2" } }, {}, false],
  [{ includes: { minKernel: "5.12" } }, {}, true],
  [{ includes: { minKernel: "6.1" }, excludes: { minKernel: "6.1" } }, {}, false],
  [{ includes: { caps: null, arches: [] }, args: null, comment: "c" }, {}, true],
] as const)("%j at %j: %p", (entry, place, applies) => {
  expect(namesOf(entry, place as Partial<Circumstances>)).toEqual(applies ? ["read"] : [])
})

test("architectures come from the map, by the processor", () => {
  const of = (machine: "x64" | "arm64") => resolveProfile(defaultProfile(), { ...PLACE, machine }).architectures
  expect(of("x64")).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
  expect(of("arm64")).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"])
})

test("a resolved profile is one the OCI reader takes, and comes through JSON unchanged", () => {
  const resolved = defaultSeccomp({ ...PLACE, capabilities: ["CAP_SYS_ADMIN"] }, true)
  const read = readSeccomp(JSON.parse(JSON.stringify(resolved)), "linux.seccomp")
  expect(compileSeccomp(read, "x64")).toEqual(compileSeccomp(resolved, "x64"))
})

const PODMAN = "/usr/share/containers/seccomp.json"
test.skipIf(!existsSync(PODMAN))("podman's profile is read and compiled", async () => {
  const profile = readProfile(parseJson(await Bun.file(PODMAN).text()), PODMAN)
  expect(profile.defaultErrnoRet).toBe(38)
  for (const machine of ["x64", "arm64"] as const) {
    const filter = compileSeccomp(resolveProfile(profile, { ...PLACE, machine }), machine)
    expect(filter.length).toBeGreaterThan(800)
  }
})

test("what the OCI reader does not know is left out, as the specification demands", () => {
  const known = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["read"], action: "SCMP_ACT_LOG", args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }] }],
  } as const
  const [syscall] = known.syscalls
  const value = {
    ...known,
    tomorrow: {},
    syscalls: [{ ...syscall, comment: "c", args: [{ ...syscall.args[0], valueThree: 3 }] }],
  }
  expect(readSeccomp(value, "linux.seccomp")).toEqual(known)
})

test.each([
  [{}, "linux.seccomp.defaultAction: is missing"],
  [
    { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 4096 },
    "linux.seccomp.defaultErrnoRet: must be an errno (0 to 4095), is 4096",
  ],
  [{ defaultAction: "SCMP_ACT_NO" }, "linux.seccomp.defaultAction: must be one of SCMP_ACT_KILL, "],
  [
    { defaultAction: "SCMP_ACT_ALLOW", flags: ["F"] },
    "linux.seccomp.flags[0]: must be one of SECCOMP_FILTER_FLAG_TSYNC, ",
  ],
])("the OCI reader refuses %j", (value, why) => {
  expect(() => readSeccomp(value, "linux.seccomp")).toThrow(why)
})

describe("numbers beyond 2^53", () => {
  const text = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":18446744073709551615,"valueTwo":9007199254740993,"op":"SCMP_CMP_EQ"}]}]}`

  test("are read exactly, and written as they were", () => {
    const seccomp = readSeccomp(parseJson(text), "linux.seccomp")
    const [argument] = seccomp.syscalls?.[0]?.args ?? []
    expect(argument).toMatchObject({ value: 18446744073709551615n, valueTwo: 9007199254740993n })
    const written = stringifyExact({ deep: { seccomp } }, seccomp)
    expect(written).toContain(`"value":18446744073709551615,"valueTwo":9007199254740993`)
    expect(readSeccomp((parseJson(written) as { deep: { seccomp: unknown } }).deep.seccomp, "linux.seccomp")).toEqual(
      seccomp,
    )
  })

  test.each(["-1", "1.5", "1e30", "18446744073709551616", '"1"'])("%s is refused", (value) => {
    const bad = parseJson(text.replace("18446744073709551615", value))
    expect(() => readSeccomp(bad, "linux.seccomp")).toThrow("linux.seccomp.syscalls[0].args[0].value")
  })
})

test.each([
  [{ names: ["a"], name: "b", action: ALLOW }, "p.syscalls[0]"],
  [{ names: [], action: ALLOW }, "p.syscalls[0].names"],
  [{ names: ["a"], action: "ALLOW" }, "p.syscalls[0].action"],
  [{ names: ["a"], action: ALLOW, includes: { kernel: "4.8" } }, "p.syscalls[0].includes.kernel"],
  [{ names: ["a"], action: ALLOW, includes: { minKernel: "4" } }, "p.syscalls[0].includes.minKernel"],
  [{ names: ["a"], action: "SCMP_ACT_ERRNO", errnoRet: 5000 }, "p.syscalls[0].errnoRet"],
  [{ names: ["a"], action: "SCMP_ACT_ERRNO", errno: "ENOTHING" }, "p.syscalls[0].errno"],
  [{ names: ["a"], action: ALLOW, args: [{ index: 0, value: 1, op: "EQ" }] }, "p.syscalls[0].args[0].op"],
])("%j is refused, and %s named", (entry, named) => {
  expect(() => readProfile({ defaultAction: ALLOW, syscalls: [entry] }, "p")).toThrow(named)
})

test("any JSON gives a profile or one error that names the place (seed 7)", () => {
  const source = random(7)
  const value = (depth: number): unknown => {
    const kind = source.int(0, depth > 4 ? 5 : 8)
    if (kind <= 5) return [null, true, -1, 2 ** 60, "SCMP_ACT_ALLOW", ""][kind]
    if (kind === 6) return Array.from({ length: source.int(0, 3) }, () => value(depth + 1))
    const fields =
      "defaultAction architectures syscalls names action args index value op includes caps archMap flags".split(" ")
    return Object.fromEntries(fields.filter(() => source.chance(0.4)).map((field) => [field, value(depth + 1)]))
  }
  let refused = 0
  for (let round = 0; round < 2000; round++) {
    const json = value(0)
    try {
      compileSeccomp(resolveProfile(readProfile(json, "profile"), PLACE), "x64")
    } catch (error) {
      expect((error as Error).name).toBe("UsageError")
      refused++
    }
  }
  expect(refused).toBeGreaterThan(1000)
})
