/** A profile → for one architecture, what happens to each call by its number. */
import { ENOSYS } from "../../../ffi/constants/errno.ts"
import { SECCOMP_RET_ERRNO } from "../../../ffi/constants/seccomp.ts"
import type { LinuxSeccomp, SeccompArgument, SeccompSyscall } from "../../oci/seccomp.ts"
import { returnValue } from "./actions.ts"
import { type Arch, syscallNumber } from "./arches.ts"

/** A value that is returned if every condition holds. */
export interface Rule {
  conditions: readonly SeccompArgument[]
  value: number
}

/** What happens to a call: the first rule that fits, or else `otherwise`. */
export interface Verdict {
  rules: readonly Rule[]
  otherwise: number
}

/** Calls from `start` to the next span's. */
export interface Span extends Verdict {
  start: number
}

// x86 has had these as one system call with a number before it, and still has: linux/net.h, linux/ipc.h.
const MULTIPLEXED: readonly (readonly [string, string])[] = [
  [
    "socketcall",
    "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg",
  ],
  [
    "ipc",
    "semop semget semctl semtimedop . . . . . . msgsnd msgrcv msgget msgctl . . . . . . shmat shmdt shmget shmctl",
  ],
]

let packed: ReadonlyMap<string, { call: string; number: number }> | undefined

function multiplexed(name: string): { call: string; number: number } | undefined {
  packed ??= new Map(
    MULTIPLEXED.flatMap(([call, names]) => names.split(" ").map((own, i) => [own, { call, number: i + 1 }] as const)),
  )
  return packed.get(name)
}

/**
 * Several conditions on one argument are alternatives, otherwise all must hold: so runc and crun have it, since a
 * rule of libseccomp can name an argument only once.
 */
function conditionSets(args: readonly SeccompArgument[]): (readonly SeccompArgument[])[] {
  const repeated = new Set(args.map(({ index }) => index)).size < args.length
  return repeated ? args.map((arg) => [arg]) : [args]
}

function addCall(calls: Map<number, Verdict>, number: number | undefined, rule: Rule, otherwise: number): void {
  if (number === undefined) return
  const known = calls.get(number)
  // A rule without conditions decides, wherever it stands; of several the first. As libseccomp has it.
  if (known && known.rules.length === 0) return
  if (rule.conditions.length === 0) calls.set(number, { rules: [], otherwise: rule.value })
  else calls.set(number, { rules: [...(known?.rules ?? []), rule], otherwise })
}

function addRules(calls: Map<number, Verdict>, arch: Arch, syscall: SeccompSyscall, otherwise: number): void {
  const value = returnValue(syscall.action, syscall.errnoRet)
  if (value === otherwise) return
  const rules = conditionSets(syscall.args ?? []).map((conditions): Rule => ({ conditions, value }))
  const isX86 = arch.name === "SCMP_ARCH_X86"
  for (const name of syscall.names) {
    const number = syscallNumber(arch, name)
    const within = isX86 ? multiplexed(name) : undefined
    for (const rule of rules) {
      addCall(calls, number, rule, otherwise)
      if (!within) continue
      // The first argument tells the calls apart, and so cannot be compared with what was meant for it.
      const op = "SCMP_CMP_EQ"
      const which: SeccompArgument = { index: 0, value: within.number, op }
      const rest = rule.conditions.filter(({ index }) => index !== 0)
      addCall(calls, syscallNumber(arch, within.call), { conditions: [which, ...rest], value }, otherwise)
    }
  }
}

const PERMISSIVE = new Set(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
/** Where arm has calls of its own, far above the others: asm/unistd.h, __ARM_NR_BASE. */
const ARM_PRIVATE = 0xf0000

/**
 * Calls above the last one that a profile names are younger than the profile: whoever wrote it did not mean to refuse
 * them. They get ENOSYS, at which programs do without; EPERM they take for an answer. So runc has it.
 */
function youngerCalls(seccomp: LinuxSeccomp, arch: Arch): { start: number; end: number } {
  const end = arch.name === "SCMP_ARCH_ARM" ? ARM_PRIVATE : arch.end
  let last = -1
  for (const { names } of PERMISSIVE.has(seccomp.defaultAction) ? [] : (seccomp.syscalls ?? [])) {
    for (const name of names) {
      const number = syscallNumber(arch, name) ?? -1
      if (number < end) last = Math.max(last, number)
    }
  }
  return last < 0 ? { start: end, end } : { start: last + 1, end }
}

const alike = (a: Verdict | undefined, b: Verdict) =>
  a !== undefined && a.rules.length === 0 && b.rules.length === 0 && a.otherwise === b.otherwise

/** The calls of an architecture in order, neighbours alike taken together. The first span begins at `arch.first`. */
export function spansOf(seccomp: LinuxSeccomp, arch: Arch): Span[] {
  const otherwise = returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  const calls = new Map<number, Verdict>()
  for (const syscall of seccomp.syscalls ?? []) addRules(calls, arch, syscall, otherwise)
  const younger = youngerCalls(seccomp, arch)
  const unnamed = (number: number): Verdict => ({
    rules: [],
    otherwise: number >= younger.start && number < younger.end ? SECCOMP_RET_ERRNO | ENOSYS : otherwise,
  })
  const points = new Map<number, Verdict>()
  for (const start of [arch.first, younger.start, younger.end]) points.set(start, unnamed(start))
  for (const number of calls.keys()) points.set(number + 1, unnamed(number + 1))
  for (const [number, verdict] of calls) points.set(number, verdict)
  const spans: Span[] = []
  let last: Verdict | undefined
  // Of so many a comparison each of JavaScript's own would take longer than all the rest.
  for (const start of new Float64Array([...points.keys()]).sort()) {
    const verdict = points.get(start) as Verdict
    if (start >= arch.end || alike(last, verdict)) continue
    last = verdict
    spans.push({ start, ...verdict })
  }
  return spans
}

/** What happens to a call whatever its arguments; null where that depends on them. */
export function verdictOf(spans: readonly Span[], arch: Arch, name: string): number | null {
  const number = syscallNumber(arch, name) ?? -1
  const span = spans.findLast(({ start }) => start <= number)
  return span === undefined || span.rules.length > 0 ? null : span.otherwise
}
