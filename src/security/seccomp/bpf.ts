/**
 * Classic BPF as seccomp(2) takes it, written from its end: jumps go forward only, so that every target is there when
 * a jump to it is made, and its distance known. Labels count instructions from the end.
 */
import {
  BPF_ABS,
  BPF_ALU,
  BPF_AND,
  BPF_JA,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JMP,
  BPF_K,
  BPF_LD,
  BPF_MAXINSNS,
  BPF_RET,
  BPF_W,
} from "../../../ffi/constants/seccomp.ts"
import { ToyboxError } from "../../errors.ts"

/** How an instruction compares the accumulator with its constant. */
export type Comparison = "eq" | "gt" | "ge"

const COMPARISONS: Readonly<Record<Comparison, number>> = { eq: BPF_JEQ, gt: BPF_JGT, ge: BPF_JGE }

// The offsets of a conditional jump are bytes; one more instruction may come to stand before its target.
const FAR = 254

export type Label = number

export interface Assembler {
  /** Four aligned bytes of struct seccomp_data into the accumulator; goes on at `next`. */
  load(offset: number, next: Label): Label
  and(mask: number, next: Label): Label
  /** Goes to `yes` or `no`, at whatever distance. */
  compare(how: Comparison, value: number, yes: Label, no: Label): Label
  /** The label of an instruction that returns a value, one nearby if there is one. */
  answer(value: number): Label
  /** The program: struct sock_filter, little-endian (both our processors). Throws ToyboxError beyond BPF_MAXINSNS. */
  bytes(): Uint8Array
}

/** A program that has not got a beginning yet. */
export function assembler(): Assembler {
  const backwards: [code: number, jt: number, jf: number, k: number][] = []
  const answers = new Map<number, Label>()
  const push = (code: number, k: number, jt = 0, jf = 0): Label => {
    backwards.push([code, jt, jf, k])
    return backwards.length - 1
  }
  const distance = (label: Label) => backwards.length - label - 1
  /** By a label that is far away: the last jump to it. */
  const jumps = new Map<Label, Label>()
  const near = (label: Label): Label => {
    if (distance(label) <= FAR) return label
    const known = jumps.get(label)
    if (known !== undefined && distance(known) <= FAR) return known
    const jump = push(BPF_JMP | BPF_JA, distance(label))
    jumps.set(label, jump)
    return jump
  }

  // Without a jump of its own an instruction goes on to the one written before it.
  const before = (next: Label, code: number, k: number): Label => {
    if (distance(next) > 0) push(BPF_JMP | BPF_JA, distance(next))
    return push(code, k)
  }

  return {
    load: (offset, next) => before(next, BPF_LD | BPF_W | BPF_ABS, offset),
    and: (mask, next) => before(next, BPF_ALU | BPF_AND | BPF_K, mask),
    compare(how, value, yes, no) {
      if (yes === no) return yes
      const [jt, jf] = [near(yes), near(no)]
      return push(BPF_JMP | COMPARISONS[how] | BPF_K, value, distance(jt), distance(jf))
    },
    answer(value) {
      const known = answers.get(value)
      if (known !== undefined && distance(known) <= FAR) return known
      const label = push(BPF_RET | BPF_K, value)
      answers.set(value, label)
      return label
    },
    bytes() {
      if (backwards.length > BPF_MAXINSNS) {
        throw new ToyboxError(
          `the seccomp profile needs ${backwards.length} instructions, and the kernel takes ${BPF_MAXINSNS} at most`,
          { hint: "use fewer conditions on arguments, or fewer architectures" },
        )
      }
      const bytes = new Uint8Array(backwards.length * 8)
      const view = new DataView(bytes.buffer)
      backwards.reverse().forEach(([code, jt, jf, k], index) => {
        view.setUint16(index * 8, code, true)
        view.setUint8(index * 8 + 2, jt)
        view.setUint8(index * 8 + 3, jf)
        view.setUint32(index * 8 + 4, k, true)
      })
      return bytes
    },
  }
}
