/** Filters against those of libseccomp: every number of every architecture, with arguments around those compared. */
import { describe, expect, test } from "bun:test"
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  SECCOMP_RET_ALLOW,
} from "../../../../ffi/constants/seccomp.ts"
import { SYSCALL_TABLES } from "../../../../ffi/syscall-tables.ts"
import {
  ACTIONS,
  type LinuxSeccomp,
  OPERATORS,
  type SeccompAction,
  type SeccompArgument,
  type SeccompSyscall,
} from "../../../../src/oci/seccomp.ts"
import { returnValue } from "../../../../src/security/seccomp/actions.ts"
import { archesOf, type Machine, syscallNumber } from "../../../../src/security/seccomp/arches.ts"
import { compileSeccomp } from "../../../../src/security/seccomp/compile.ts"
import { DECISIVE_CAPABILITIES, defaultSeccomp } from "../../../../src/security/seccomp/default-profile.ts"
import { cleanUpAfterAll } from "../../../helpers/scratch.ts"
import { type Random, random } from "../../cgroup/random.ts"
import { decode, interpret, words } from "./interpreter.ts"
import { knownNames, referenceFilter } from "./reference.ts"

cleanUpAfterAll()

const MACHINES = {
  x64: { audits: [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386], compat: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
  arm64: { audits: [AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM], compat: ["SCMP_ARCH_ARM"] },
} as const
const NO_ARGUMENTS = [0n, 0n, 0n, 0n, 0n, 0n]
const ENOSYS = returnValue("SCMP_ACT_ERRNO", 38)

/** Where the numbers of calls are, and around: those of x32 and arm's private ones included. */
const NUMBERS = [0, 0x40000000, 0xf0000, 0x7fffff00].flatMap((base) => Array.from({ length: 520 }, (_, i) => base + i))
// libseccomp compares x86's numbers with its own negative ones for calls that are none there.
const NEGATIVE = Array.from({ length: 300 }, (_, i) => 2 ** 32 - 1 - i)

/** Values on both sides of what the conditions compare with, in both halves. */
function interesting(seccomp: LinuxSeccomp): bigint[] {
  const values = new Set([0n, 1n, 0xffffffffn, 1n << 32n, (1n << 64n) - 1n])
  for (const { args = [] } of seccomp.syscalls ?? []) {
    for (const { value, valueTwo = 0 } of args) {
      for (const center of [BigInt(value), BigInt(valueTwo)]) {
        for (const delta of [-(1n << 32n), -1n, 0n, 1n, 1n << 32n]) values.add(BigInt.asUintN(64, center + delta))
      }
    }
  }
  return [...values]
}

/** The numbers that have conditions, in any architecture: only there arguments count. */
function conditional(seccomp: LinuxSeccomp, machine: Machine): Set<number> {
  const names = (seccomp.syscalls ?? []).flatMap((syscall) => (syscall.args ? syscall.names : []))
  const arches = archesOf(machine, seccomp.architectures ?? [])
  const all = [...names, "socketcall", "ipc"]
  return new Set(arches.flatMap((arch) => all.flatMap((name) => syscallNumber(arch, name) ?? [])))
}

/** The last call each architecture has of those a profile names: beyond it ENOSYS is ours. */
function lastNamed(seccomp: LinuxSeccomp, machine: Machine, audit: number, nr: number): number {
  const arch = archesOf(machine, seccomp.architectures ?? []).find(
    (candidate) => candidate.audit === audit && nr >= candidate.first && nr < candidate.end,
  )
  if (!arch) return Number.POSITIVE_INFINITY
  const names = (seccomp.syscalls ?? []).flatMap((syscall) => syscall.names)
  const numbers = names.flatMap((name) => syscallNumber(arch, name) ?? [])
  return Math.max(...numbers.filter((number) => arch.name !== "SCMP_ARCH_ARM" || number < 0xf0000))
}

/** Where the two filters differ, at most ten lines; and how many instructions each took in all. */
function compare(seccomp: LinuxSeccomp, machine: Machine, source: Random, samples: number) {
  const ours = decode(compileSeccomp(seccomp, machine))
  const theirs = decode(referenceFilter(seccomp, machine))
  const values = interesting(seccomp)
  const withArguments = conditional(seccomp, machine)
  const otherwise = returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  const differences: string[] = []
  const steps = { ours: 0, theirs: 0 }
  for (const audit of [...MACHINES[machine].audits, 0x8000_0016]) {
    const plain = words({ arch: audit, nr: 0, args: NO_ARGUMENTS })
    // The kernel gives 32 bits of the arguments of 32-bit programs.
    const bits = audit === AUDIT_ARCH_I386 || audit === AUDIT_ARCH_ARM ? 32 : 64
    for (const nr of audit === AUDIT_ARCH_I386 ? NUMBERS : [...NUMBERS, ...NEGATIVE]) {
      plain[0] = nr
      for (let sample = withArguments.has(nr) ? samples : 1; sample > 0; sample--) {
        const args = sample === 1 ? NO_ARGUMENTS : NO_ARGUMENTS.map(() => BigInt.asUintN(bits, source.pick(values)))
        const data = sample === 1 ? plain : words({ arch: audit, nr, args })
        const [mine, reference] = [interpret(ours, data), interpret(theirs, data)]
        steps.ours += mine.steps
        steps.theirs += reference.steps
        const younger = mine.value === ENOSYS && reference.value === otherwise
        if (mine.value === reference.value || (younger && nr > lastNamed(seccomp, machine, audit, nr))) continue
        if (differences.length < 10) {
          const call = `${audit.toString(16)} ${nr.toString(16)}(${args.map((arg) => arg.toString(16))})`
          differences.push(`${call}: ${mine.value.toString(16)}, libseccomp ${reference.value.toString(16)}`)
        }
      }
    }
  }
  return { differences, steps }
}

const KNOWN = knownNames(
  [...new Set(Object.values(SYSCALL_TABLES).flatMap((table) => table.trim().split(" ")))]
    .map((entry) => entry.split("=")[0] ?? "")
    .filter((name, index, all) => all.indexOf(name) === index),
)

/** Without the calls that are younger than this libseccomp. */
const onlyKnown = (seccomp: LinuxSeccomp): LinuxSeccomp => ({
  ...seccomp,
  syscalls: (seccomp.syscalls ?? []).map((syscall) => ({
    ...syscall,
    names: syscall.names.filter((name) => KNOWN.includes(name)),
  })),
})

describe.each(["x64", "arm64"] as const)("the default profile on %s", (machine) => {
  test.each([
    ["no capability", []],
    ["CAP_SYS_CHROOT", ["CAP_SYS_CHROOT"]],
    ["CAP_SYS_ADMIN", ["CAP_SYS_ADMIN"]],
    ["all capabilities", DECISIVE_CAPABILITIES],
  ])("with %s decides as libseccomp, in fewer steps", (_, capabilities) => {
    for (const compat of [false, true]) {
      const seccomp = onlyKnown(defaultSeccomp({ capabilities, machine, kernel: [6, 1] }, compat))
      const { differences, steps } = compare(seccomp, machine, random(1), 80)
      expect(differences).toEqual([])
      expect(steps.ours).toBeLessThan(steps.theirs / 4)
    }
  })

  test("takes a number of steps that grows with the logarithm", () => {
    const filter = decode(compileSeccomp(defaultSeccomp({ capabilities: [], machine, kernel: [6, 1] }, true), machine))
    const arch = MACHINES[machine].audits[0]
    const data = (nr: number) => words({ arch, nr, args: NO_ARGUMENTS })
    const steps = NUMBERS.slice(0, 450).map((nr) => interpret(filter, data(nr)).steps)
    expect(Math.max(...steps)).toBeLessThanOrEqual(24)
  })
})

/** A profile with at most one rule for a call: of several libseccomp leaves open which counts, or takes one for another. */
function anyProfile(source: Random, machine: Machine): LinuxSeccomp {
  const actions = ACTIONS.filter((action) => action !== "SCMP_ACT_NOTIFY")
  const action = (): { action: SeccompAction; errnoRet?: number } => {
    const picked = source.pick(actions)
    const carries = picked === "SCMP_ACT_ERRNO" || picked === "SCMP_ACT_TRACE"
    return carries && source.chance(0.7) ? { action: picked, errnoRet: source.int(0, 200) } : { action: picked }
  }
  const number = (): number | bigint => {
    const high = source.pick([0n, 0n, 1n, 5n, 0xffffffffn, 0x80000000n])
    const value = (high << 32n) | BigInt(source.pick([0, 1, 2, 38, 0x7fffffff, 0x80000000, 0xffffffff]))
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? value : Number(value)
  }
  const condition = (): SeccompArgument => ({
    index: source.int(0, 5),
    op: source.pick(OPERATORS),
    value: number(),
    valueTwo: number(),
  })
  const conditions = () => {
    const all = Array.from({ length: source.int(1, 3) }, condition)
    return all.filter(({ index }, i) => all.findIndex((other) => other.index === index) === i)
  }
  const free = KNOWN.filter((name) => !/^(execve|socketcall|ipc|arm_sync_file_range)$/.test(name)).sort(
    () => source.int(0, 1) - 0.5,
  )
  const syscalls: SeccompSyscall[] = [{ names: ["execve"], action: "SCMP_ACT_ALLOW" }]
  for (let round = source.int(1, 12); round > 0; round--) {
    const names = free.splice(0, source.int(1, source.chance(0.3) ? 60 : 4))
    const own = action()
    if (source.chance(0.6)) syscalls.push({ names, ...own })
    else syscalls.push({ names, ...own, args: conditions() })
  }
  const { action: defaultAction, errnoRet } = action()
  return {
    defaultAction,
    ...(errnoRet === undefined ? {} : { defaultErrnoRet: errnoRet }),
    architectures: MACHINES[machine].compat.filter(() => source.chance(0.5)),
    syscalls: syscalls.sort(() => source.int(0, 1) - 0.5),
  }
}

describe.each(["x64", "arm64"] as const)("any profile on %s", (machine) => {
  test.each(Array.from({ length: 12 }, (_, seed) => seed + 1))("decides as libseccomp (seed %d)", (seed) => {
    const source = random(seed)
    const { differences } = compare(anyProfile(source, machine), machine, source, 60)
    expect(differences).toEqual([])
  })
})

test("a profile beyond what the kernel takes is refused", () => {
  const args = Array.from(
    { length: 1100 },
    (_, value): SeccompSyscall => ({
      names: ["read", "write"],
      action: "SCMP_ACT_ALLOW",
      args: [
        { index: 0, value, op: "SCMP_CMP_EQ" },
        { index: 1, value, op: "SCMP_CMP_NE" },
      ],
    }),
  )
  const syscalls: SeccompSyscall[] = [{ names: ["execve"], action: "SCMP_ACT_ALLOW" }, ...args]
  expect(() => compileSeccomp({ defaultAction: "SCMP_ACT_ERRNO", syscalls }, "x64")).toThrow(
    /instructions, and the kernel takes 4096/,
  )
})

test("thousands of values of one argument take an instruction each", () => {
  // Some share their upper halves, some their lower ones.
  const values = Array.from({ length: 3000 }, (_, i) => (BigInt(i % 3) << 32n) | BigInt(i))
  const syscalls: SeccompSyscall[] = [
    { names: ["execve"], action: "SCMP_ACT_ALLOW" },
    ...values.map(
      (value): SeccompSyscall => ({
        names: ["read"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 2, value, op: "SCMP_CMP_EQ" }],
      }),
    ),
  ]
  const seccomp: LinuxSeccomp = { defaultAction: "SCMP_ACT_ERRNO", syscalls }
  const program = compileSeccomp(seccomp, "x64")
  expect(program.length / 8).toBeLessThan(3100)
  const filter = decode(program)
  const answer = (value: bigint) =>
    interpret(filter, words({ arch: AUDIT_ARCH_X86_64, nr: 0, args: [0n, 0n, value, 0n, 0n, 0n] })).value
  for (const value of values) {
    expect(answer(value)).toBe(SECCOMP_RET_ALLOW)
    expect(answer(value ^ (1n << 40n))).not.toBe(SECCOMP_RET_ALLOW)
  }
  expect(answer(3000n)).not.toBe(SECCOMP_RET_ALLOW)
})

test("jumps that are too far for a byte reach their targets", () => {
  const seccomp: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_KILL",
    syscalls: [
      { names: ["execve"], action: "SCMP_ACT_ALLOW" },
      ...Array.from(
        { length: 300 },
        (_, value): SeccompSyscall => ({
          names: ["read"],
          action: "SCMP_ACT_ALLOW",
          args: [{ index: 1, value, op: "SCMP_CMP_EQ" }],
        }),
      ),
      { names: KNOWN.filter((_, index) => index % 2 === 0 && index < 500), action: "SCMP_ACT_LOG" },
    ],
  }
  expect(compare(seccomp, "x64", random(3), 500).differences).toEqual([])
})
