/** What `events` tells of a container, in runc's form. */
import type { CgroupStats } from "../../cgroup/stats.ts"
import { cgroupOf } from "./kill.ts"
import type { OciRecord } from "./record.ts"

// What a limit of none is in v1's files, and in runc's output.
const UNLIMITED = 2 ** 63 - 4096

const nanoseconds = (microseconds: number | null) => (microseconds ?? 0) * 1000

/** One event of the type "stats"; runc's types/events.go has the names. Times in nanoseconds, sizes in bytes. */
export function statsEvent(id: string, stats: CgroupStats) {
  return {
    type: "stats",
    id,
    data: {
      cpu: {
        usage: {
          total: nanoseconds(stats.cpuUsageUsec),
          kernel: nanoseconds(stats.cpuSystemUsec),
          user: nanoseconds(stats.cpuUserUsec),
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
          failcnt: 0,
        },
      },
      pids: { current: stats.pidsCurrent ?? 0 },
    },
  }
}

/** The counters of a container now. Throws where it has no cgroup. */
export const readContainerStats = (record: OciRecord): CgroupStats => cgroupOf(record).stats()
