/** Several rules for one call, which libseccomp does not always keep apart: filters against the rules themselves. */
import { expect, test } from "bun:test"
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "../../../../ffi/constants/seccomp.ts"
import {
  type LinuxSeccomp,
  OPERATORS,
  type SeccompArgument,
  type SeccompOperator,
  type SeccompSyscall,
} from "../../../../src/oci/seccomp.ts"
import { returnValue } from "../../../../src/security/seccomp/actions.ts"
import { compileSeccomp } from "../../../../src/security/seccomp/compile.ts"
import { type Random, random } from "../../cgroup/random.ts"
import { decode, interpret, words } from "./interpreter.ts"

const COMPARE: Readonly<Record<SeccompOperator, (a: bigint, value: bigint, two: bigint) => boolean>> = {
  SCMP_CMP_NE: (a, value) => a !== value,
  SCMP_CMP_LT: (a, value) => a < value,
  SCMP_CMP_LE: (a, value) => a <= value,
  SCMP_CMP_EQ: (a, value) => a === value,
  SCMP_CMP_GE: (a, value) => a >= value,
  SCMP_CMP_GT: (a, value) => a > value,
  SCMP_CMP_MASKED_EQ: (a, value, two) => (a & value) === (two & value),
}

function holds(conditions: readonly SeccompArgument[], args: readonly bigint[], bits: number): boolean {
  const cut = (value: number | bigint) => BigInt.asUintN(bits, BigInt(value))
  const one = ({ index, op, value, valueTwo = 0 }: SeccompArgument) =>
    COMPARE[op](cut(args[index] ?? 0n), cut(value), cut(valueTwo))
  const repeated = new Set(conditions.map(({ index }) => index)).size < conditions.length
  return repeated ? conditions.some(one) : conditions.every(one)
}

/** What the profile says of a call of that name. */
function verdict(seccomp: LinuxSeccomp, name: string, args: readonly bigint[], bits: number): number {
  const otherwise = returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  const value = ({ action, errnoRet }: SeccompSyscall) => returnValue(action, errnoRet)
  const rules = (seccomp.syscalls ?? []).filter((rule) => rule.names.includes(name) && value(rule) !== otherwise)
  const rule = rules.find((r) => !r.args) ?? rules.find((r) => holds(r.args ?? [], args, bits))
  return rule ? value(rule) : otherwise
}

const VALUES = [
  0n,
  1n,
  5n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 32n,
  (5n << 32n) | 5n,
  1n << 63n,
  (1n << 64n) - 1n,
]
// x86-64, x32, x86.
const NUMBERS = { read: [0, 0x40000000, 3], lseek: [8, 0x40000008, 19], getpid: [39, 0x40000027, 20] } as const
const NAMES = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]

function anyProfile(source: Random): LinuxSeccomp {
  const condition = (): SeccompArgument => ({
    index: source.int(0, 2),
    op: source.pick(OPERATORS),
    value: source.pick(VALUES),
    valueTwo: source.pick(VALUES),
  })
  const rule = (): SeccompSyscall => ({
    names: NAMES.filter(() => source.chance(0.6)),
    action: source.pick(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO"]),
    ...(source.chance(0.9) ? { args: Array.from({ length: source.int(1, 3) }, condition) } : {}),
  })
  const rules = Array.from({ length: source.int(1, 12) }, rule)
  const allowed: SeccompSyscall = { names: ["execve", "set_mempolicy_home_node"], action: "SCMP_ACT_ALLOW" }
  return {
    defaultAction: source.pick(["SCMP_ACT_ERRNO", "SCMP_ACT_LOG"]),
    architectures: ["SCMP_ARCH_X32", "SCMP_ARCH_X86"],
    syscalls: [allowed, ...rules.filter(({ names }) => names.length > 0)],
  }
}

test("the first rule that fits counts, and one without conditions before all others (seed 5)", () => {
  const source = random(5)
  for (let round = 0; round < 300; round++) {
    const seccomp = anyProfile(source)
    const filter = decode(compileSeccomp(seccomp, "x64"))
    for (let sample = 0; sample < 40; sample++) {
      const name = source.pick(NAMES)
      const which = source.int(0, 2)
      const bits = which === 0 ? 64 : 32
      const args = Array.from({ length: 6 }, () => source.pick(VALUES) + BigInt(source.int(0, 1)))
      const wide = args.map((arg) => BigInt.asUintN(which === 2 ? 32 : 64, arg))
      const arch = which === 2 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64
      const { value } = interpret(filter, words({ arch, nr: NUMBERS[name][which] as number, args: wide }))
      const shown = `${name} on ${which} with ${wide.join()} of ${JSON.stringify(seccomp, (_, v) => (typeof v === "bigint" ? String(v) : v))}`
      expect({ value, shown }).toEqual({ value: verdict(seccomp, name, wide, bits), shown })
    }
  }
})
