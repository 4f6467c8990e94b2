import type { CgroupIo } from "./io.ts"
import type { CgroupHandle } from "./plan.ts"

/** Counters of a container; null where the kernel has no such file or the controller is not in use. */
export interface CgroupStats {
  readonly memoryCurrentBytes: number | null
  readonly memoryPeakBytes: number | null
  /** Null without a limit. */
  readonly memoryLimitBytes: number | null
  /** Processes killed for want of memory. */
  readonly oomKills: number | null
  readonly cpuUsageUsec: number | null
  readonly cpuUserUsec: number | null
  readonly cpuSystemUsec: number | null
  readonly periods: number | null
  readonly throttledPeriods: number | null
  readonly throttledUsec: number | null
  readonly pidsCurrent: number | null
  readonly pidsLimit: number | null
  /** Page cache that the kernel can drop at once: not counted as used by docker stats. */
  readonly inactiveFileBytes: number | null
  readonly blockReadBytes: number | null
  readonly blockWriteBytes: number | null
  readonly pressure: Pressures
}

/** Pressure stall information, psi.rst: v2 only. */
export interface Pressure {
  /** Share of the last ten seconds in which somebody waited, in percent. */
  readonly someAvg10: number
  /** Microseconds in which somebody waited, since the cgroup was made. */
  readonly someTotalUsec: number
}

export type Pressures = Readonly<Record<"cpu" | "memory" | "io", Pressure | null>>

const NO_PRESSURE: Pressures = { cpu: null, memory: null, io: null }

function pressure(text: string | null): Pressure | null {
  const [, avg10, total] = /^some avg10=([\d.]+) .*total=(\d+)$/m.exec(text ?? "") ?? []
  return avg10 === undefined ? null : { someAvg10: Number(avg10), someTotalUsec: Number(total) }
}

/** The sum over all devices of a column of io.stat (`8:0 rbytes=1 wbytes=2 …`), cgroup-v2.rst. */
function ioSum(text: string | null, key: string): number | null {
  if (text === null) return null
  return [...text.matchAll(new RegExp(`\\b${key}=(\\d+)`, "g"))].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}

/** The sum over all devices of one operation (`8:0 Read 1`), blkio-controller.rst. */
function blkioSum(text: string | null, operation: "Read" | "Write"): number | null {
  if (text === null) return null
  const lines = text.matchAll(new RegExp(`^\\d+:\\d+ ${operation} (\\d+)$`, "gm"))
  return [...lines].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}

/** The value after `key` in a flat-keyed file (`key value` lines). */
function keyed(text: string | null, key: string): number | null {
  if (text === null) return null
  for (const line of text.split("\n")) {
    if (line.startsWith(`${key} `)) return Number(line.slice(key.length + 1))
  }
  return null
}

const times = (factor: number, value: number | null) => (value === null ? null : Math.round(value * factor))

type Read = (controller: string, file: string) => string | null

const single = (text: string | null) => (text === null ? null : Number(text))

function limit(text: string | null): number | null {
  // v1 says LONG_MAX rounded down to a page where v2 says "max", and the former is beyond 2^53.
  const value = single(text?.trim() === "max" ? null : text)
  return value !== null && Number.isSafeInteger(value) ? value : null
}

function v2Stats(read: Read): CgroupStats {
  const cpu = read("unified", "cpu.stat")
  const io = read("unified", "io.stat")
  return {
    memoryCurrentBytes: single(read("unified", "memory.current")),
    memoryPeakBytes: single(read("unified", "memory.peak")),
    memoryLimitBytes: limit(read("unified", "memory.max")),
    oomKills: keyed(read("unified", "memory.events"), "oom_kill"),
    cpuUsageUsec: keyed(cpu, "usage_usec"),
    cpuUserUsec: keyed(cpu, "user_usec"),
    cpuSystemUsec: keyed(cpu, "system_usec"),
    periods: keyed(cpu, "nr_periods"),
    throttledPeriods: keyed(cpu, "nr_throttled"),
    throttledUsec: keyed(cpu, "throttled_usec"),
    pidsCurrent: single(read("unified", "pids.current")),
    pidsLimit: limit(read("unified", "pids.max")),
    inactiveFileBytes: keyed(read("unified", "memory.stat"), "inactive_file"),
    blockReadBytes: ioSum(io, "rbytes"),
    blockWriteBytes: ioSum(io, "wbytes"),
    pressure: {
      cpu: pressure(read("unified", "cpu.pressure")),
      memory: pressure(read("unified", "memory.pressure")),
      io: pressure(read("unified", "io.pressure")),
    },
  }
}

function v1Stats(read: Read): CgroupStats {
  const cpu = read("cpu", "cpu.stat")
  const block = read("blkio", "blkio.throttle.io_service_bytes_recursive")
  return {
    memoryCurrentBytes: single(read("memory", "memory.usage_in_bytes")),
    memoryPeakBytes: single(read("memory", "memory.max_usage_in_bytes")),
    memoryLimitBytes: limit(read("memory", "memory.limit_in_bytes")),
    oomKills: keyed(read("memory", "memory.oom_control"), "oom_kill"),
    // Nanoseconds, all of v1.
    cpuUsageUsec: times(1e-3, single(read("cpuacct", "cpuacct.usage"))),
    cpuUserUsec: times(1e-3, single(read("cpuacct", "cpuacct.usage_user"))),
    cpuSystemUsec: times(1e-3, single(read("cpuacct", "cpuacct.usage_sys"))),
    periods: keyed(cpu, "nr_periods"),
    throttledPeriods: keyed(cpu, "nr_throttled"),
    throttledUsec: times(1e-3, keyed(cpu, "throttled_time")),
    pidsCurrent: single(read("pids", "pids.current")),
    pidsLimit: limit(read("pids", "pids.max")),
    inactiveFileBytes: keyed(read("memory", "memory.stat"), "total_inactive_file"),
    blockReadBytes: blkioSum(block, "Read"),
    blockWriteBytes: blkioSum(block, "Write"),
    pressure: NO_PRESSURE,
  }
}

function reader({ dirs }: CgroupHandle, io: CgroupIo): Read {
  return (controller, file) => {
    const dir = dirs[controller]
    return dir === undefined ? null : io.tryReadText(`${dir}/${file}`)
  }
}

/** Reads all counters. */
export function readStats(handle: CgroupHandle, io: CgroupIo): CgroupStats {
  const read = reader(handle, io)
  return handle.version === 2 ? v2Stats(read) : v1Stats(read)
}

/** What a container has used from its beginning to its end; null as in CgroupStats. */
export interface FinalUsage {
  readonly memoryPeakBytes: number | null
  readonly cpuUsageUsec: number | null
  /** CPU periods in which it ran, and those of them in which it was held back. */
  readonly periods: number | null
  readonly throttledPeriods: number | null
  readonly throttledUsec: number | null
  /** How many processes could not be made because of its limit. */
  readonly pidsLimitHits: number | null
  /** Microseconds in which a process of it waited. */
  readonly pressureUsec: Readonly<Record<"cpu" | "memory" | "io", number | null>>
}

/** Reads that, from as few files as there can be: it is done at every container's end. */
export function readFinalUsage(handle: CgroupHandle, io: CgroupIo): FinalUsage {
  const read = reader(handle, io)
  const isUnified = handle.version === 2
  const cpu = read(isUnified ? "unified" : "cpu", "cpu.stat")
  const waited = (file: string) => (isUnified ? (pressure(read("unified", file))?.someTotalUsec ?? null) : null)
  return {
    memoryPeakBytes: single(isUnified ? read("unified", "memory.peak") : read("memory", "memory.max_usage_in_bytes")),
    cpuUsageUsec: isUnified ? keyed(cpu, "usage_usec") : times(1e-3, single(read("cpuacct", "cpuacct.usage"))),
    periods: keyed(cpu, "nr_periods"),
    throttledPeriods: keyed(cpu, "nr_throttled"),
    throttledUsec: isUnified ? keyed(cpu, "throttled_usec") : times(1e-3, keyed(cpu, "throttled_time")),
    pidsLimitHits: keyed(read(isUnified ? "unified" : "pids", "pids.events"), "max"),
    pressureUsec: {
      cpu: waited("cpu.pressure"),
      memory: waited("memory.pressure"),
      io: waited("io.pressure"),
    },
  }
}

/** How many processes were killed for want of memory: `oom_kill` of memory.events (v2) or memory.oom_control (v1, 4.13). */
export function readOomKills(handle: CgroupHandle, io: CgroupIo): number {
  const read = reader(handle, io)
  const text = handle.version === 2 ? read("unified", "memory.events") : read("memory", "memory.oom_control")
  return keyed(text, "oom_kill") ?? 0
}

/** The container's memory limit in bytes, null for none: for the message about an OOM kill. */
export function readMemoryLimit(handle: CgroupHandle, io: CgroupIo): number | null {
  const read = reader(handle, io)
  return limit(handle.version === 2 ? read("unified", "memory.max") : read("memory", "memory.limit_in_bytes"))
}
