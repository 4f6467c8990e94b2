/** What a cgroup device program sees: linux/bpf.h struct bpf_cgroup_dev_ctx. */
export interface DeviceAccess {
  readonly type: "b" | "c"
  /** Bits: 1 mknod, 2 read, 4 write. */
  readonly access: number
  readonly major: number
  readonly minor: number
}

/** Runs the eBPF opcodes that deviceProgram emits; anything else, and what the verifier would refuse, throws. */
export function interpret(program: Uint8Array, { type, access, major, minor }: DeviceAccess): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  const context = [(access << 16) | (type === "b" ? 1 : 2), major, minor]
  const registers = new Map<number, number>([[1, 0]])
  const get = (register: number) => {
    const value = registers.get(register)
    if (value === undefined) throw new Error(`register ${register} is read before it is written`)
    return value
  }
  for (let position = 0; position * 8 < program.length; position++) {
    const code = view.getUint8(position * 8)
    const dst = view.getUint8(position * 8 + 1) & 15
    const src = view.getUint8(position * 8 + 1) >> 4
    const off = view.getInt16(position * 8 + 2, true)
    const imm = view.getInt32(position * 8 + 4, true)
    if (code === 0x61 && src === 1) registers.set(dst, context[off / 4] as number)
    else if (code === 0xb7) registers.set(dst, imm)
    else if (code === 0xbc) registers.set(dst, get(src))
    else if (code === 0x54) registers.set(dst, (get(dst) & imm) >>> 0)
    else if (code === 0x74) registers.set(dst, get(dst) >>> imm)
    else if (code === 0x55) position += get(dst) !== imm ? off : 0
    else if (code === 0x45) position += get(dst) & imm ? off : 0
    else if (code === 0x05) position += off
    else if (code === 0x95) return get(0)
    else throw new Error(`opcode ${code} at ${position}`)
  }
  throw new Error("fell off the end of the program")
}

/** Instructions that no path reaches: the kernel refuses a program that has any. */
export function unreachable(program: Uint8Array): number[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  const count = program.length / 8
  const seen = new Set<number>()
  const pending = [0]
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (seen.has(at)) continue
    if (at >= count) throw new Error("jump beyond the end")
    seen.add(at)
    const code = view.getUint8(at * 8)
    const target = at + 1 + view.getInt16(at * 8 + 2, true)
    if (code === 0x95) continue
    if (code === 0x05) pending.push(target)
    else if (code === 0x55 || code === 0x45) pending.push(target, at + 1)
    else pending.push(at + 1)
  }
  return Array.from({ length: count }, (_, at) => at).filter((at) => !seen.has(at))
}
