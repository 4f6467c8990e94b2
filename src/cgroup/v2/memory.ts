import { ToyboxError } from "../../errors.ts"
import type { LinuxMemory } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"

const amount = (bytes: number) => (bytes < 0 ? "max" : `${BigInt(bytes)}`)

/**
 * `memory.max`, `memory.swap.max`, `memory.low`: cgroup-v2.rst, "Memory Interface Files". The specification's `swap` counts
 * memory too, the kernel's file does not. memory.high stays unset (it throttles without end where a limit is too small) and
 * so does memory.oom.group (a shell whose child was killed should be able to say so).
 */
export function memoryWrites({ limit, reservation, swap }: LinuxMemory): FileWrite[] {
  const writes: FileWrite[] = []
  if (limit) writes.push({ file: "memory.max", value: amount(limit), field: "memory.limit" })
  if (swap) {
    if (swap > 0 && (limit === undefined || limit <= 0)) {
      throw new ToyboxError("linux.resources.memory.swap: memory.limit is missing, which a swap limit is counted from")
    }
    if (swap > 0 && swap < (limit ?? 0)) {
      throw new ToyboxError(`linux.resources.memory.swap: ${swap} is below memory.limit (${limit}), which it includes`)
    }
    const value = amount(swap < 0 ? swap : swap - (limit ?? 0))
    writes.push({
      file: "memory.swap.max",
      value,
      field: "memory.swap",
      // A kernel that cannot limit swap does not limit it: for "unlimited" nothing is missing.
      absent: { notice: swap < 0 ? null : "this kernel does not account swap: swapping cannot be forbidden" },
    })
  }
  if (reservation) writes.push({ file: "memory.low", value: amount(reservation), field: "memory.reservation" })
  return writes
}
