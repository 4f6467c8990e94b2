import { ToyboxError } from "../../errors.ts"
import type { LinuxMemory } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"

/** `memory.memsw.limit_in_bytes` as it is, bytes; a new cgroup is unlimited. */
export interface CurrentMemory {
  readonly memsw: number
}

const text = (bytes: number) => (bytes < 0 ? "-1" : `${BigInt(bytes)}`)

/** Without swap accounting the file is absent: the best that is left is to keep the kernel from swapping by itself. */
function swapWrite(swap: number, limit: number | undefined): FileWrite {
  const write: FileWrite = { file: "memory.memsw.limit_in_bytes", value: text(swap), field: "memory.swap" }
  if (swap < 0) return { ...write, absent: { notice: null } }
  if (swap !== limit) return write
  const notice = "this kernel does not account swap: swapping is discouraged (swappiness 0) instead of forbidden"
  return { ...write, others: [{ file: "memory.swappiness", value: "0", notice }] }
}

/**
 * `memory.*` files: memory.rst. The kernel demands memsw ≥ limit at every moment: a raise writes memsw first, a lowering
 * (and a new cgroup, where both are unlimited) the limit first.
 */
export function memoryWrites(memory: LinuxMemory, current: CurrentMemory | null = null): FileWrite[] {
  const { limit, reservation, swappiness, disableOOMKiller, useHierarchy } = memory
  // No limit at all is none on both: without the one the kernel refuses to lift the other.
  const swap = limit === -1 && current ? memory.swap || -1 : memory.swap
  if (swap && swap > 0 && limit && limit > swap) {
    throw new ToyboxError(`linux.resources.memory.swap: ${swap} is below memory.limit (${limit}), which it includes`)
  }
  const sizes: FileWrite[] = []
  if (limit) sizes.push({ file: "memory.limit_in_bytes", value: text(limit), field: "memory.limit" })
  if (swap) sizes.push(swapWrite(swap, limit))
  if (current && swap && (swap < 0 || swap > current.memsw)) sizes.reverse()
  const writes: FileWrite[] = []
  // Only possible while there are no children, so before everything else.
  if (useHierarchy) writes.push({ file: "memory.use_hierarchy", value: "1", field: "memory.useHierarchy" })
  writes.push(...sizes)
  if (reservation) {
    writes.push({ file: "memory.soft_limit_in_bytes", value: text(reservation), field: "memory.reservation" })
  }
  if (swappiness !== undefined) {
    writes.push({ file: "memory.swappiness", value: `${swappiness}`, field: "memory.swappiness" })
  }
  // A new cgroup has it on.
  if (disableOOMKiller || (disableOOMKiller === false && current)) {
    writes.push({ file: "memory.oom_control", value: disableOOMKiller ? "1" : "0", field: "memory.disableOOMKiller" })
  }
  return writes
}
