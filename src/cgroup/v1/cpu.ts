import type { LinuxCPU } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"

/** `cpu.cfs_*`, `cpu.shares`, `cpu.idle`, `cpu.rt_*`: sched-bwc.rst, sched-rt-group.rst. Times in µs. */
export function cpuWrites(cpu: LinuxCPU): FileWrite[] {
  const { quota, period, burst, shares, idle, realtimePeriod, realtimeRuntime } = cpu
  const writes: FileWrite[] = []
  // Period first: in a new group without quota any period is accepted, and the quota then means what it says at once.
  if (period) writes.push({ file: "cpu.cfs_period_us", value: `${period}`, field: "cpu.period" })
  if (quota) writes.push({ file: "cpu.cfs_quota_us", value: `${quota < 0 ? -1 : quota}`, field: "cpu.quota" })
  // After the quota, which the kernel does not let it exceed.
  if (burst !== undefined) writes.push({ file: "cpu.cfs_burst_us", value: `${burst}`, field: "cpu.burst" })
  if (realtimePeriod) writes.push({ file: "cpu.rt_period_us", value: `${realtimePeriod}`, field: "cpu.realtimePeriod" })
  if (realtimeRuntime) {
    writes.push({ file: "cpu.rt_runtime_us", value: `${realtimeRuntime}`, field: "cpu.realtimeRuntime" })
  }
  const weight = shares ? [{ file: "cpu.shares", value: `${shares}`, field: "cpu.shares" }] : []
  const idleness = idle === undefined ? [] : [{ file: "cpu.idle", value: `${idle}`, field: "cpu.idle" }]
  // The kernel refuses shares while the group is idle: leave idle first, enter it last.
  return writes.concat(idle === 0 ? [...idleness, ...weight] : [...weight, ...idleness])
}
