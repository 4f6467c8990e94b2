/** The filter of a container: what seccomp(2) loads, ready-made where the container is a usual one. */
import {
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
} from "../../../ffi/constants/seccomp.ts"
import type { LinuxSeccomp, SeccompFlag } from "../../oci/seccomp.ts"
import type { Machine } from "./arches.ts"
import { BUILT_IN } from "./built-in.ts"
import { DECISIVE_CAPABILITIES } from "./default-profile.ts"

/** A program and the flags it is loaded with. */
export interface SeccompFilter {
  program: Uint8Array
  flags: number
}

const FLAGS: Readonly<Record<SeccompFlag, number>> = {
  // The process that loads the filter has one thread.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}

// Without it Linux before 5.16 slows every program under a filter: as runc has it.
const DEFAULT_FLAGS: readonly SeccompFlag[] = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]

function flagsOf({ flags = DEFAULT_FLAGS, syscalls = [] }: LinuxSeccomp): number {
  let bits = 0
  for (const flag of flags) {
    // The kernel refuses it where nobody waits.
    if (flag === "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" && !notifies(syscalls)) continue
    bits |= FLAGS[flag]
  }
  return bits
}

/** Whether calls are put to a supervisor. */
export const notifies = (syscalls: NonNullable<LinuxSeccomp["syscalls"]>): boolean =>
  syscalls.some(({ action }) => action === "SCMP_ACT_NOTIFY")

/** What toybox runs on. */
export const MACHINE: Machine = process.arch === "arm64" ? "arm64" : "x64"

/** The filter of the default profile for containers without a 32-bit part; null where it has to be compiled. */
export function builtInFilter(capabilities: readonly string[]): SeccompFilter | null {
  const decisive = DECISIVE_CAPABILITIES.filter((name) => capabilities.includes(name))
  if (decisive.length > 1 || (decisive.length === 1 && decisive[0] !== "CAP_SYS_CHROOT")) return null
  const text = BUILT_IN[MACHINE][decisive.length === 1 ? "chroot" : "none"]
  return { program: Uint8Array.fromBase64(text), flags: flagsOf({ defaultAction: "SCMP_ACT_ERRNO" }) }
}

/** The filter of any profile. Throws ToyboxError. */
export async function compileFilter(seccomp: LinuxSeccomp): Promise<SeccompFilter> {
  const { compileSeccomp } = await import("./compile.ts")
  return { program: compileSeccomp(seccomp, MACHINE), flags: flagsOf(seccomp) }
}
