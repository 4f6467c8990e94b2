/** What `events` tells of a container, in runc's form. */
import { type BlockCounter, type DeviceStats, readDeviceStats } from "../../cgroup/device-stats.ts"
import { hostIo } from "../../cgroup/io.ts"
import { type DetailStats, type MemoryPool, readDetailStats } from "../../cgroup/memory-stats.ts"
import type { CgroupStats } from "../../cgroup/stats.ts"
import { cgroupOf } from "./kill.ts"
import type { OciRecord } from "./record.ts"

// What a limit of none is in v1's files, and in runc's output.
export const UNLIMITED = 2 ** 63 - 4096

export interface ContainerStats {
  readonly stats: CgroupStats
  readonly devices: DeviceStats
  readonly details: DetailStats
}

const nanoseconds = (microseconds: number | null) => (microseconds ?? 0) * 1000

// Go leaves out what is 0 or empty, and so does everyone who reads it.
const present = (entries: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== 0 && value !== undefined))

const counters = (found: readonly BlockCounter[]) =>
  found.length === 0 ? undefined : found.map(({ major, minor, op, value }) => present({ major, minor, op, value }))

const hugetlb = ({ hugePages }: DeviceStats) =>
  Object.fromEntries(
    Object.entries(hugePages).map(([size, { usageBytes, maxBytes, failures }]) => [
      size,
      { ...present({ usage: usageBytes, max: maxBytes }), failcnt: failures },
    ]),
  )

const memoryEntry = ({ usage, max, limit, failures }: MemoryPool) => ({
  limit: limit ?? UNLIMITED,
  usage,
  max,
  failcnt: failures,
})

/** One event of the type "stats"; runc's types/events.go has the names. Times in nanoseconds, sizes in bytes. */
export function statsEvent(id: string, { stats, devices, details }: ContainerStats) {
  return {
    type: "stats",
    id,
    data: {
      cpu: {
        usage: {
          total: nanoseconds(stats.cpuUsageUsec),
          kernel: nanoseconds(stats.cpuSystemUsec),
          user: nanoseconds(stats.cpuUserUsec),
          ...(details.processors.length > 0 ? { percpu: details.processors } : {}),
        },
        throttling: {
          periods: stats.periods ?? 0,
          throttledPeriods: stats.throttledPeriods ?? 0,
          throttledTime: nanoseconds(stats.throttledUsec),
        },
      },
      memory: {
        usage: {
          limit: stats.memoryLimitBytes ?? UNLIMITED,
          usage: stats.memoryCurrentBytes ?? 0,
          max: stats.memoryPeakBytes ?? 0,
          failcnt: devices.memoryFailures,
        },
        cache: details.cacheBytes,
        ...(details.swap ? { swap: memoryEntry(details.swap) } : {}),
        raw: details.memory,
      },
      pids: present({ current: stats.pidsCurrent ?? 0, limit: stats.pidsLimit ?? 0 }),
      blkio: present({
        ioServiceBytesRecursive: counters(devices.ioBytes),
        ioServicedRecursive: counters(devices.ioOperations),
      }),
      hugetlb: hugetlb(devices),
    },
  }
}

/** The counters of a container now. Throws where it has no cgroup. */
export function readContainerStats(record: OciRecord): ContainerStats {
  const { stats, handle } = cgroupOf(record)
  return { stats: stats(), devices: readDeviceStats(handle, hostIo), details: readDetailStats(handle, hostIo) }
}

/** How many of its processes were killed for want of memory. Throws where it has no cgroup. */
export const readOomKills = (record: OciRecord): number => cgroupOf(record).oomKills()
