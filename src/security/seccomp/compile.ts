/** A profile → the program that seccomp(2) loads. */
import { SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_LOG } from "../../../ffi/constants/seccomp.ts"
import { ToyboxError } from "../../errors.ts"
import type { LinuxSeccomp, SeccompArgument } from "../../oci/seccomp.ts"
import { isCarriedOut, returnValue } from "./actions.ts"
import { type Arch, archesOf, type Machine, X32_SYSCALL_BIT } from "./arches.ts"
import { type Assembler, assembler, type Comparison, type Label } from "./bpf.ts"
import { type Rule, type Span, spansOf, verdictOf } from "./rules.ts"

// struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer, args[6].
const NR = 0
const ARCH = 4
const ARGS = 16

const half = (value: number | bigint, which: "low" | "high"): number =>
  Number((BigInt(value) >> (which === "low" ? 0n : 32n)) & 0xffffffffn)

/** Goes to `yes` if the argument compares so with the condition's value, else to `no`. */
function emitCondition(to: Assembler, { bits }: Arch, condition: SeccompArgument, yes: Label, no: Label): Label {
  const { index, op, value, valueTwo = 0 } = condition
  const low = ARGS + index * 8
  const high = low + 4
  if (op === "SCMP_CMP_MASKED_EQ") {
    const part = (which: "low" | "high", offset: number, next: Label) => {
      const mask = half(value, which)
      if (mask === 0) return next
      // What the mask takes away cannot count, as libseccomp has it.
      const compared = to.compare("eq", (half(valueTwo, which) & mask) >>> 0, next, no)
      return to.load(offset, to.and(mask, compared))
    }
    const rest = part("low", low, yes)
    return bits === 64 ? part("high", high, rest) : rest
  }
  const positive = op === "SCMP_CMP_EQ" || op === "SCMP_CMP_GE" || op === "SCMP_CMP_GT"
  const [holds, fails] = positive ? [yes, no] : [no, yes]
  // NE, LT and LE are EQ, GE and GT the other way round.
  const how = { EQ: "eq", NE: "eq", GE: "ge", LT: "ge", GT: "gt", LE: "gt" }[op.slice(9)] as Comparison
  const lower = to.load(low, to.compare(how, half(value, "low"), holds, fails))
  if (bits === 32) return lower
  const equal = to.compare("eq", half(value, "high"), lower, fails)
  return to.load(high, how === "eq" ? equal : to.compare("gt", half(value, "high"), holds, equal))
}

/** The one argument that a rule compares for equality, and nothing else. */
function onlyValue({ conditions }: Rule): SeccompArgument | null {
  const [first] = conditions
  return conditions.length === 1 && first?.op === "SCMP_CMP_EQ" ? first : null
}

/** Where the rules before `end` begin that have one outcome, and one argument to compare with a value each. */
function runBefore(rules: readonly Rule[], end: number): number {
  const last = rules[end - 1]
  const index = last && onlyValue(last)?.index
  let start = end - 1
  for (; start > 0 && index !== undefined; start--) {
    const rule = rules[start - 1]
    if (rule?.value !== last?.value || (rule && onlyValue(rule)?.index) !== index) break
  }
  return start
}

/** Such a run: the argument is loaded once, not for each of its values. */
function emitValues(to: Assembler, { bits }: Arch, rules: readonly Rule[], no: Label): Label {
  const yes = to.answer(rules[0]?.value ?? 0)
  const conditions = rules.flatMap((rule) => onlyValue(rule) ?? [])
  const low = ARGS + (conditions[0]?.index ?? 0) * 8
  const byHigh = Map.groupBy(conditions, ({ value }) => (bits === 64 ? half(value, "high") : 0))
  const lower = (values: readonly SeccompArgument[]) =>
    to.load(
      low,
      values.reduceRight((next, { value }) => to.compare("eq", half(value, "low"), yes, next), no),
    )
  if (bits === 32) return lower(conditions)
  const upper = [...byHigh].reduceRight((next, [high, values]) => to.compare("eq", high, lower(values), next), no)
  return to.load(low + 4, upper)
}

function emitRule(to: Assembler, arch: Arch, rule: Rule | undefined, next: Label): Label {
  const start = to.answer(rule?.value ?? 0)
  return (rule?.conditions ?? []).reduceRight((yes, condition) => emitCondition(to, arch, condition, yes, next), start)
}

/** A program on its way, and what of it may be used again. */
interface Session {
  to: Assembler
  /** Where the same rules are already, by their text. */
  written: Map<string, Label>
  /** What happens to the calls of each architecture. */
  spans: ReadonlyMap<Arch, readonly Span[]>
}

function emitRules({ to, written }: Session, arch: Arch, rules: readonly Rule[], otherwise: number): Label {
  if (rules.length === 0) return to.answer(otherwise)
  const exact = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value)
  const text = JSON.stringify([arch.bits, otherwise, rules], exact)
  const known = written.get(text)
  if (known !== undefined) return known
  let label = to.answer(otherwise)
  for (let end = rules.length; end > 0; ) {
    const start = runBefore(rules, end)
    label =
      start < end - 1 ? emitValues(to, arch, rules.slice(start, end), label) : emitRule(to, arch, rules[start], label)
    end = start
  }
  written.set(text, label)
  return label
}

/** Finds the span that holds the number in the accumulator, by halves. */
function emitSearch(session: Session, arch: Arch, spans: readonly Span[]): Label {
  const [only] = spans
  if (spans.length === 1 && only) return emitRules(session, arch, only.rules, only.otherwise)
  const middle = spans.length >> 1
  const right = emitSearch(session, arch, spans.slice(middle))
  const left = emitSearch(session, arch, spans.slice(0, middle))
  return session.to.compare("ge", (spans[middle] as Span).start, right, left)
}

const MINUS_ONE = 0xffffffff

/** All the calls that come with one value of seccomp_data.arch: x86-64 and x32 share theirs. */
function emitArch(session: Session, arches: readonly Arch[], seccomp: LinuxSeccomp): Label {
  const { to, spans } = session
  const [first, second] = arches as [Arch, Arch?]
  const body = emitSearch(session, first, spans.get(first) ?? [])
  if (first.name !== "SCMP_ARCH_X86_64") return to.load(NR, body)
  // A tracer skips a call by making its number -1, and filters see that too: seccomp(2).
  const skipped = to.answer(returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet))
  const other = second
    ? emitSearch(session, second, spans.get(second) ?? [])
    : to.compare("eq", MINUS_ONE, skipped, to.answer(SECCOMP_RET_KILL_THREAD))
  return to.load(NR, to.compare("ge", X32_SYSCALL_BIT, other, body))
}

/**
 * Compiles a profile for a processor. Calls of architectures that the profile does not list kill the thread, as libseccomp
 * has it. Names of calls that an architecture does not have are left out there. Throws ToyboxError.
 */
export function compileSeccomp(seccomp: LinuxSeccomp, machine: Machine): Uint8Array {
  const arches = archesOf(machine, seccomp.architectures ?? [])
  const spans = new Map(arches.map((arch) => [arch, spansOf(seccomp, arch)]))
  check(seccomp, arches[0], spans.get(arches[0]) ?? [])
  const to = assembler()
  const written = new Map<string, Label>()
  // The processor's own comes first in the program, and so is written last.
  const audits = [...new Set(arches.map(({ audit }) => audit))].reverse()
  let other = to.answer(SECCOMP_RET_KILL_THREAD)
  for (const audit of audits) {
    const body = emitArch(
      { to, written, spans },
      arches.filter((arch) => arch.audit === audit),
      seccomp,
    )
    other = to.compare("eq", audit, body, other)
  }
  to.load(ARCH, other)
  return to.bytes()
}

/** What no container can be started with. */
function check(seccomp: LinuxSeccomp, own: Arch, spans: readonly Span[]): void {
  const { defaultAction, listenerPath, syscalls = [] } = seccomp
  if (defaultAction === "SCMP_ACT_NOTIFY") {
    throw new ToyboxError(
      "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY would stop the container before it is started",
      {
        hint: "name the calls that the supervisor is to decide",
      },
    )
  }
  const notifies = syscalls.some(({ action }) => action === "SCMP_ACT_NOTIFY")
  if (notifies && listenerPath === undefined) {
    throw new ToyboxError("linux.seccomp.listenerPath: missing, and a profile with SCMP_ACT_NOTIFY needs one")
  }
  const needed = notifies ? ["sendmsg", "close"] : []
  for (const name of needed) {
    if (verdictOf(spans, own, name) !== SECCOMP_RET_ALLOW && verdictOf(spans, own, name) !== SECCOMP_RET_LOG) {
      throw new ToyboxError(
        `linux.seccomp: a profile with SCMP_ACT_NOTIFY must allow ${name}, which hands its listener over`,
      )
    }
  }
  const execve = verdictOf(spans, own, "execve")
  if (execve !== null && !isCarriedOut(execve)) {
    throw new ToyboxError("linux.seccomp: the profile does not allow execve, so no command could be started", {
      hint: "allow execve",
    })
  }
}
