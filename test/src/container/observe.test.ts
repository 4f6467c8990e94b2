import { describe, expect, test } from "bun:test"
import type { CgroupStats } from "../../../src/cgroup/stats.ts"
import { readProcesses } from "../../../src/container/observe/processes.ts"
import { processRows, processTable } from "../../../src/container/observe/ps-options.ts"
import { networkBytes, sparkline, usageBetween } from "../../../src/container/observe/sample.ts"

describe("processes", () => {
  test("are what /proc says", () => {
    const [own] = readProcesses([process.pid])
    expect(own).toMatchObject({ pid: process.pid, ppid: process.ppid })
    expect(own?.command).toContain("bun")
    expect(Math.abs((own?.started ?? 0) - (Date.now() - process.uptime() * 1000))).toBeLessThan(3000)
    expect(readProcesses([2 ** 22 + 1])).toEqual([])
  })

  const titles = (...options: string[]) => processRows([], processTable(options))[0]?.join(" ")

  test("come in the columns of ps", () => {
    const full = "UID PID PPID C STIME TTY TIME CMD"
    for (const options of [[], ["-ef"], ["ef"], ["-e", "-f"], ["-eF", "-ww"]]) expect(titles(...options)).toBe(full)
    const bsd = "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"
    for (const options of [["aux"], ["-aux"], ["a", "u", "x"], ["auxww"]]) expect(titles(...options)).toBe(bsd)
    expect(titles("-e")).toBe("PID TTY TIME CMD")
    expect(titles("ax")).toBe("PID TTY STAT TIME COMMAND")
    const lists = [["-o", "pid,etime,args"], ["-eo", "pid etime args"], ["axo", "PID,etime,args"], ["-opid,etime,args"]]
    for (const options of [...lists, ["-o", "pid", "-o", "etime,args"], ["--format=pid,etime", "-o", "args"]])
      expect(titles(...options)).toBe("PID ELAPSED COMMAND")
    expect(titles("-o", "pid=NUMBER,args=")).toBe("NUMBER ")
    const own = readProcesses([process.pid])
    expect(processRows(own, processTable(["-o", "pid=,comm="]))).toEqual([[String(process.pid), own[0]?.name ?? ""]])
    expect(processRows(own, processTable(["-o", "pid", "--no-headers"]))).toEqual([[String(process.pid)]])
    expect(() => titles("-o", "nothing")).toThrow('"nothing" is not a column')
    expect(() => titles("-o")).toThrow("needs a list")
    expect(() => titles("--forest")).toThrow("is not understood")
  })

  test("say what ps says of them", () => {
    const columns =
      "pid,ppid,pgid,sid,euid,ruser,group,rgid,ni,pri,nlwp,vsz,sz,stat,tty,lstart,etimes,comm,time,bsdtime,stime,times,args"
    const child = Bun.spawnSync([
      "ps",
      "-ww",
      "-o",
      columns.replaceAll(",", "=,").concat("="),
      "--pid",
      String(process.ppid),
    ])
    const words = (text: string) => text.split(/\s+/).filter(Boolean)
    const [row = []] = processRows(readProcesses([process.ppid]), processTable(["-o", columns, "--no-headers"]))
    const seconds = columns.split(",").indexOf("etimes")
    const theirs = words(child.stdout.toString())
    const ours = words(row.join(" "))
    // The weekday, month, day, time and year are words of their own.
    const at = seconds + 4
    expect(Math.abs(Number(ours[at]) - Number(theirs[at]))).toBeLessThan(3)
    expect(ours.toSpliced(at, 1)).toEqual(theirs.toSpliced(at, 1))
  })

  test("are sorted as asked for", () => {
    const [one] = readProcesses([process.pid])
    if (!one) throw new Error("this process is not there")
    const some = [9, 10, 8].map((pid) => ({ ...one, pid, name: pid === 9 ? "a" : "b" }))
    const sorted = (...options: string[]) => processRows(some, processTable(["-o", "pid=", ...options])).flat()
    expect(sorted()).toEqual(["8", "9", "10"])
    expect(sorted("--sort=-pid")).toEqual(["10", "9", "8"])
    expect(sorted("--sort", "comm,-pid")).toEqual(["9", "10", "8"])
  })

  test("come in podman's columns, with the container's numbers", () => {
    const [one] = readProcesses([process.pid])
    if (!one) throw new Error("this process is not there")
    const inside = { ...one, innerPid: 1, innerPpid: 0, seccomp: 2, capabilities: { CapEff: 0x21n, CapBnd: 0n } }
    const rows = processRows([inside], processTable(["pid", "ppid", "hpid", "seccomp", "capeff", "capbnd"]))
    expect(rows).toEqual([
      ["PID", "PPID", "HPID", "SECCOMP", "EFFECTIVE CAPS", "BOUNDING CAPS"],
      ["1", "0", String(process.pid), "filter", "CHOWN,KILL", "none"],
    ])
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
