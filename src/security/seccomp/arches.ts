/** The architectures of seccomp filters: what a processor can run beside its own. */
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
} from "../../../ffi/constants/seccomp.ts"
import { SYSCALL_TABLES } from "../../../ffi/syscall-tables.ts"
import { ToyboxError } from "../../errors.ts"

/** A processor as process.arch names it. */
export type Machine = "x64" | "arm64"

export interface Arch {
  /** SCMP_ARCH_ name. */
  name: string
  /** seccomp_data.arch; x32 shares that of x86-64. */
  audit: number
  /** Numbers of its calls: at least `first`, below `end`. */
  first: number
  end: number
  /** Bits of an argument that are compared: registers of x32 have more, but programs leave them undefined. */
  bits: 32 | 64
  table: string
}

/** Calls of x32 have this bit: asm/unistd.h. */
export const X32_SYSCALL_BIT = 0x40000000
const ALL = 2 ** 32

const MACHINES: Readonly<Record<Machine, readonly Arch[]>> = {
  x64: [
    {
      name: "SCMP_ARCH_X86_64",
      audit: AUDIT_ARCH_X86_64,
      first: 0,
      end: X32_SYSCALL_BIT,
      bits: 64,
      table: SYSCALL_TABLES.x86_64,
    },
    {
      name: "SCMP_ARCH_X32",
      audit: AUDIT_ARCH_X86_64,
      first: X32_SYSCALL_BIT,
      end: ALL,
      bits: 32,
      table: SYSCALL_TABLES.x32,
    },
    { name: "SCMP_ARCH_X86", audit: AUDIT_ARCH_I386, first: 0, end: ALL, bits: 32, table: SYSCALL_TABLES.x86 },
  ],
  arm64: [
    { name: "SCMP_ARCH_AARCH64", audit: AUDIT_ARCH_AARCH64, first: 0, end: ALL, bits: 64, table: SYSCALL_TABLES.arm64 },
    { name: "SCMP_ARCH_ARM", audit: AUDIT_ARCH_ARM, first: 0, end: ALL, bits: 32, table: SYSCALL_TABLES.arm },
  ],
}

/** What programs of this processor can be. */
export const archNames = (machine: Machine): string[] => MACHINES[machine].map(({ name }) => name)

/** Of processors that this executable does not run on: their calls cannot be made here. */
const ELSEWHERE =
  /^SCMP_ARCH_(X86|X86_64|X32|ARM|AARCH64|LOONGARCH64|M68K|MIPS|MIPS64|MIPS64N32|MIPSEL|MIPSEL64|MIPSEL64N32|PARISC|PARISC64|PPC|PPC64|PPC64LE|RISCV64|S390|S390X|SH|SHEB)$/

/**
 * The processor's own architecture, then those of the list that it can run; the others are left out. Throws ToyboxError
 * where a name is unknown.
 */
export function archesOf(machine: Machine, names: readonly string[]): [Arch, ...Arch[]] {
  for (const [index, name] of names.entries()) {
    if (!ELSEWHERE.test(name)) {
      throw new ToyboxError(`linux.seccomp.architectures[${index}]: "${name}" is no architecture`, {
        hint: "names are those of libseccomp, e.g. SCMP_ARCH_X86_64",
      })
    }
  }
  const [own, ...others] = MACHINES[machine]
  return [own as Arch, ...others.filter(({ name }) => names.includes(name))]
}

const numbers = new Map<string, ReadonlyMap<string, number>>()

/** The number of a call, undefined where the architecture has none of that name. */
export function syscallNumber({ name: arch, table }: Arch, name: string): number | undefined {
  let known = numbers.get(arch)
  if (known === undefined) {
    const entry = (text: string): [string, number] => {
      const equals = text.indexOf("=")
      return [text.slice(0, equals), Number(text.slice(equals + 1))]
    }
    known = new Map(table.trim().split(" ").map(entry))
    numbers.set(arch, known)
  }
  return known.get(name)
}
