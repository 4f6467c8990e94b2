/** What a running container uses: counters now, and rates between two looks. */
import { tryReadText } from "../../../ffi/fs.ts"
import { openCgroup } from "../../cgroup/manager.ts"
import type { CgroupStats, Pressures } from "../../cgroup/stats.ts"
import type { RunningRecord } from "../state.ts"

export interface Sample {
  /** performance.now() of the look. */
  at: number
  stats: CgroupStats
  netReadBytes: number
  netWriteBytes: number
}

/** Field names are stable: `stats --json`. Null: this kernel does not count it. */
export interface Usage {
  /** 100 is one processor. */
  cpuPercent: number | null
  memoryBytes: number | null
  memoryLimitBytes: number | null
  memoryPercent: number | null
  pids: number | null
  pidsLimit: number | null
  netReadBytes: number
  netWriteBytes: number
  blockReadBytes: number | null
  blockWriteBytes: number | null
  /** Share of the CPU periods since the last look in which it was held back, in percent. */
  throttledPercent: number | null
  oomKills: number | null
  pressure: Pressures
}

/** Received and sent, over all interfaces but the loopback: proc_pid_net(5), net/dev. */
export function networkBytes(text: string): [received: number, sent: number] {
  let [received, sent] = [0, 0]
  for (const line of text.split("\n")) {
    const [name, counters] = line.split(":")
    if (counters === undefined || name?.trim() === "lo") continue
    const fields = counters.trim().split(/\s+/)
    received += Number(fields[0])
    sent += Number(fields[8])
  }
  return [received, sent]
}

/** Null where it has no cgroup, or none any more. */
export function takeSample({ pid, cgroup }: RunningRecord): Sample | null {
  if (cgroup === null) return null
  const stats = openCgroup(cgroup).stats()
  const [netReadBytes, netWriteBytes] = networkBytes(tryReadText(`/proc/${pid}/net/dev`) ?? "")
  return { at: performance.now(), stats, netReadBytes, netWriteBytes }
}

const percent = (part: number, whole: number) => (whole > 0 ? (100 * part) / whole : 0)
/** All that this machine has, in bytes. */
export const machineMemory = () =>
  Number(/^MemTotal:\s+(\d+)/m.exec(tryReadText("/proc/meminfo") ?? "")?.[1] ?? 0) * 1024

/** What two looks tell; `before` may be the same as `now`, and the rates are then 0. */
export function usageBetween(before: Sample, now: Sample): Usage {
  const { stats } = now
  const used = (stats.memoryCurrentBytes ?? 0) - (stats.inactiveFileBytes ?? 0)
  const limit = stats.memoryLimitBytes ?? machineMemory()
  const since = (counter: (stats: CgroupStats) => number | null): number | null => {
    const [a, b] = [counter(before.stats), counter(stats)]
    return a === null || b === null ? null : b - a
  }
  const cpu = since(({ cpuUsageUsec }) => cpuUsageUsec)
  const [periods, throttled] = [since((stats) => stats.periods), since((stats) => stats.throttledPeriods)]
  return {
    cpuPercent: cpu === null ? null : percent(cpu / 1000, now.at - before.at),
    memoryBytes: stats.memoryCurrentBytes === null ? null : Math.max(0, used),
    memoryLimitBytes: stats.memoryLimitBytes,
    memoryPercent: stats.memoryCurrentBytes === null ? null : percent(Math.max(0, used), limit),
    pids: stats.pidsCurrent,
    pidsLimit: stats.pidsLimit,
    netReadBytes: now.netReadBytes,
    netWriteBytes: now.netWriteBytes,
    blockReadBytes: stats.blockReadBytes,
    blockWriteBytes: stats.blockWriteBytes,
    throttledPercent: periods === null || throttled === null ? null : percent(throttled, periods),
    oomKills: stats.oomKills,
    pressure: stats.pressure,
  }
}

const NO_PRESSURE = { cpu: null, memory: null, io: null }

/** What one uses that does not run. */
export const NO_USAGE: Usage = {
  cpuPercent: 0,
  memoryBytes: 0,
  memoryLimitBytes: 0,
  memoryPercent: 0,
  pids: 0,
  pidsLimit: null,
  netReadBytes: 0,
  netWriteBytes: 0,
  blockReadBytes: 0,
  blockWriteBytes: 0,
  throttledPercent: 0,
  oomKills: null,
  pressure: NO_PRESSURE,
}

const BARS = "▁▂▃▄▅▆▇█"

/** One character a value; the highest of them, or `full` if that is more, is a full bar. */
export function sparkline(values: readonly number[], full: number): string {
  const top = Math.max(full, ...values)
  return values.map((value) => BARS[Math.min(7, Math.floor((value / top) * 8))] ?? "▁").join("")
}
