import type { LinuxDeviceCgroup } from "../../oci/resources.ts"
import { ALL_ACCESS, checkedRules, type DeviceRule, isTotal } from "./rules.ts"

// Opcodes: linux/bpf_common.h, linux/bpf.h; instruction-set.rst.
const LDX_MEM_W = 0x61
const MOV64_K = 0xb7
const ALU32_AND_K = 0x54
const ALU32_RSH_K = 0x74
const ALU32_MOV_X = 0xbc
const JNE_K = 0x55
const JSET_K = 0x45
const JA = 0x05
const EXIT = 0x95

// r1 is the context on entry: struct bpf_cgroup_dev_ctx { u32 access_type, major, minor }, access in the upper half.
const RESULT = 0
const CONTEXT = 1
const TYPE = 2
/** Access bits that no rule has allowed yet. */
const PENDING = 3
const MAJOR = 4
const MINOR = 5

const DEVICE_TYPE = { b: 1, c: 2 } as const

interface Instruction {
  readonly code: number
  readonly dst: number
  readonly src: number
  readonly off: number
  readonly imm: number
}

function instruction(code: number, dst = 0, { src = 0, off = 0, imm = 0 } = {}): Instruction {
  return { code, dst, src, off, imm }
}

const answer = (allow: boolean): Instruction[] => [
  instruction(MOV64_K, RESULT, { imm: allow ? 1 : 0 }),
  instruction(EXIT),
]

const PROLOGUE: readonly Instruction[] = [
  instruction(LDX_MEM_W, TYPE, { src: CONTEXT, off: 0 }),
  instruction(ALU32_MOV_X, PENDING, { src: TYPE }),
  instruction(ALU32_AND_K, TYPE, { imm: 0xffff }),
  instruction(ALU32_RSH_K, PENDING, { imm: 16 }),
  instruction(LDX_MEM_W, MAJOR, { src: CONTEXT, off: 4 }),
  instruction(LDX_MEM_W, MINOR, { src: CONTEXT, off: 8 }),
]

/** What a rule does once the device matches; falling off the end goes on to the next rule. */
function decision({ allow, access }: DeviceRule): Instruction[] {
  if (access === ALL_ACCESS) return answer(allow)
  if (allow) {
    return [
      instruction(ALU32_AND_K, PENDING, { imm: ~access & ALL_ACCESS }),
      instruction(JNE_K, PENDING, { off: 2, imm: 0 }),
      ...answer(true),
    ]
  }
  return [instruction(JSET_K, PENDING, { off: 1, imm: access }), instruction(JA, 0, { off: 2 }), ...answer(false)]
}

function block(rule: DeviceRule): Instruction[] {
  const body = decision(rule)
  const tests: [register: number, value: number][] = []
  if (rule.type) tests.push([TYPE, DEVICE_TYPE[rule.type]])
  if (rule.major !== null) tests.push([MAJOR, rule.major])
  if (rule.minor !== null) tests.push([MINOR, rule.minor])
  const jumps = tests.map(([register, imm], index) => {
    const off = body.length + tests.length - index - 1
    return instruction(JNE_K, register, { off, imm })
  })
  return [...jumps, ...body]
}

function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8)
  const view = new DataView(bytes.buffer)
  instructions.forEach(({ code, dst, src, off, imm }, index) => {
    view.setUint8(index * 8, code)
    view.setUint8(index * 8 + 1, (src << 4) | dst)
    view.setInt16(index * 8 + 2, off, true)
    view.setInt32(index * 8 + 4, imm, true)
  })
  return bytes
}

/**
 * The BPF_PROG_TYPE_CGROUP_DEVICE program of the rules: instructions of 8 bytes, little-endian (both our processors).
 *
 * Each access bit is decided by the last rule that matches device and bit, and a request passes if all its bits do; no rule
 * is a refusal. Rules are tried backwards: an allowing one settles its bits, a denying one refuses a request that still has
 * one of its bits open. (The plain subset test of other runtimes lets `rw` slip past a later "deny w".)
 */
export function deviceProgram(rules: readonly LinuxDeviceCgroup[]): Uint8Array {
  const instructions = [...PROLOGUE]
  for (const rule of checkedRules(rules).reverse()) {
    instructions.push(...block(rule))
    // Nothing behind it could be reached, and the kernel's verifier refuses unreachable code.
    if (isTotal(rule)) return assemble(instructions)
  }
  return assemble([...instructions, ...answer(false)])
}

/** Whether the rules let every access pass, so that no program is needed. */
export function allowsEverything(rules: readonly LinuxDeviceCgroup[]): boolean {
  const last = checkedRules(rules).at(-1)
  return last?.allow === true && isTotal(last)
}
