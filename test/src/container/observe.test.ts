import { describe, expect, test } from "bun:test"
import type { CgroupStats } from "../../../src/cgroup/stats.ts"
import { columnsOf, processRows, readProcesses } from "../../../src/container/observe/processes.ts"
import { networkBytes, sparkline, usageBetween } from "../../../src/container/observe/sample.ts"

describe("processes", () => {
  test("are what /proc says", () => {
    const [own] = readProcesses([process.pid])
    expect(own).toMatchObject({ pid: process.pid, ppid: process.ppid })
    expect(own?.command).toContain("bun")
    expect(Math.abs((own?.started ?? 0) - (Date.now() - process.uptime() * 1000))).toBeLessThan(3000)
    expect(readProcesses([2 ** 22 + 1])).toEqual([])
  })

  test("come in the columns of ps", () => {
    expect(columnsOf([])).toEqual(columnsOf(["-ef"]))
    expect(columnsOf(["aux"])).toContain("%mem")
    expect(columnsOf(["-o", "pid,args"])).toEqual(["pid", "args"])
    expect(columnsOf(["-opid"])).toEqual(["pid"])
    expect(() => columnsOf(["-o", "nothing"])).toThrow('"nothing" is not a column')
    expect(() => columnsOf(["--forest"])).toThrow("is not understood")
    expect(processRows(readProcesses([process.pid]), ["pid"])).toEqual([["PID"], [String(process.pid)]])
  })
})

describe("usage", () => {
  const none = Object.fromEntries(
    "memoryCurrentBytes memoryPeakBytes memoryLimitBytes oomKills cpuUsageUsec cpuUserUsec cpuSystemUsec periods throttledPeriods throttledUsec pidsCurrent pidsLimit inactiveFileBytes blockReadBytes blockWriteBytes"
      .split(" ")
      .map((name) => [name, null]),
  )
  const sample = (at: number, stats: Partial<CgroupStats>) => ({
    at,
    stats: { ...none, pressure: { cpu: null, memory: null, io: null }, ...stats } as CgroupStats,
    netReadBytes: 0,
    netWriteBytes: 0,
  })

  test("is counted between two looks", () => {
    const before = sample(1000, { cpuUsageUsec: 500_000, periods: 10, throttledPeriods: 0 })
    const now = sample(3000, {
      cpuUsageUsec: 1_500_000,
      periods: 30,
      throttledPeriods: 5,
      memoryCurrentBytes: 100,
      inactiveFileBytes: 40,
      memoryLimitBytes: 600,
    })
    expect(usageBetween(before, now)).toMatchObject({
      cpuPercent: 50,
      throttledPercent: 25,
      memoryBytes: 60,
      memoryPercent: 10,
      oomKills: null,
    })
    expect(usageBetween(now, now)).toMatchObject({ cpuPercent: 0, throttledPercent: 0 })
    expect(usageBetween(sample(0, {}), sample(1, {}))).toMatchObject({ cpuPercent: null, memoryPercent: null })
  })

  test("of the network leaves the loopback out", () => {
    const line = (name: string, read: number, sent: number) => `${name}: ${read} 1 0 0 0 0 0 0 ${sent} 1 0 0 0 0 0 0`
    expect(
      networkBytes(["Inter-|", " face |bytes", line("    lo", 7, 7), line("  eth0", 10, 20), ""].join("\n")),
    ).toEqual([10, 20])
  })

  test("is drawn", () => {
    expect(sparkline([0, 50, 100], 100)).toBe("▁▅█")
    expect(sparkline([200, 100], 100)).toBe("█▅")
    expect(sparkline([], 100)).toBe("")
  })
})
