/** What a seccomp filter sees: struct seccomp_data without the instruction pointer. */
export interface SeccompData {
  readonly arch: number
  readonly nr: number
  readonly args: readonly bigint[]
}

export type Filter = readonly (readonly [code: number, jt: number, jf: number, k: number])[]

/** The instructions of a program: struct sock_filter. */
export function decode(program: Uint8Array): Filter {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  return Array.from({ length: program.length / 8 }, (_, i) => {
    const at = i * 8
    return [
      view.getUint16(at, true),
      view.getUint8(at + 2),
      view.getUint8(at + 3),
      view.getUint32(at + 4, true),
    ] as const
  })
}

/** struct seccomp_data as words of 32 bits, as a processor with the low half first has it. */
export function words({ arch, nr, args }: SeccompData): Uint32Array {
  const halves = args.flatMap((arg) => [Number(arg & 0xffffffffn), Number(arg >> 32n)])
  return Uint32Array.from([nr, arch, 0, 0, ...halves])
}

/**
 * Runs a filter on what `words` gives; anything that the kernel would refuse, and that libseccomp and we do not write,
 * throws. `steps` tells how many instructions it took.
 */
export function interpret(filter: Filter, data: Uint32Array): { value: number; steps: number } {
  let accumulator = 0
  let steps = 0
  for (let at = 0; ; at++) {
    const [code, jt, jf, k] = filter[at] as Filter[number]
    steps++
    if (code === 0x20) {
      if (k % 4 !== 0 || k >= 64) throw new Error(`load of ${k}`)
      accumulator = data[k / 4] as number
    } else if (code === 0x54) accumulator = (accumulator & k) >>> 0
    else if (code === 0x05) at += k
    else if (code === 0x15) at += accumulator === k ? jt : jf
    else if (code === 0x25) at += accumulator > k ? jt : jf
    else if (code === 0x35) at += accumulator >= k ? jt : jf
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf
    else if (code === 0x06) return { value: k, steps }
    else throw new Error(`opcode ${code} at ${at}`)
  }
}
