import type { LinuxCPU } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"
import { sharesToWeight } from "../weights.ts"

const unlimited = (quota: number | undefined) => quota === undefined || quota <= 0

/** `cpu.max`, `cpu.max.burst`, `cpu.weight`, `cpu.idle`: cgroup-v2.rst, "CPU Interface Files". Times in µs. */
export function cpuWrites({ quota, period, burst, shares, idle }: LinuxCPU): FileWrite[] {
  const writes: FileWrite[] = []
  if (quota !== undefined || period) {
    const amount = unlimited(quota) ? "max" : `${quota}`
    writes.push({ file: "cpu.max", value: period ? `${amount} ${period}` : amount, field: "cpu.quota" })
  }
  // After the quota, which the kernel does not let it exceed.
  if (burst !== undefined) writes.push({ file: "cpu.max.burst", value: `${burst}`, field: "cpu.burst" })
  const weight = shares ? [{ file: "cpu.weight", value: `${sharesToWeight(shares)}`, field: "cpu.shares" }] : []
  const idleness = idle === undefined ? [] : [{ file: "cpu.idle", value: `${idle}`, field: "cpu.idle" }]
  // The kernel refuses a weight while the group is idle: leave idle first, enter it last.
  return writes.concat(idle === 0 ? [...idleness, ...weight] : [...weight, ...idleness])
}

/** `cpuset.cpus`, `cpuset.mems`: cgroup-v2.rst, "Cpuset Interface Files". */
export function cpusetWrites({ cpus, mems }: LinuxCPU): FileWrite[] {
  const writes: FileWrite[] = []
  if (cpus) writes.push({ file: "cpuset.cpus", value: cpus, field: "cpu.cpus" })
  if (mems) writes.push({ file: "cpuset.mems", value: mems, field: "cpu.mems" })
  return writes
}
