import { describe, expect, test } from "bun:test"
import { createCgroup, openCgroup, planCgroup } from "../../../src/cgroup/manager.ts"
import type { CgroupRequest } from "../../../src/cgroup/plan.ts"
import { ROOT, v2Machine } from "./machines.ts"

const path = "/toybox.slice/c1"
const DIR = ROOT + path
const LIMIT = 64 << 20
const request: CgroupRequest = {
  path,
  resources: { memory: { limit: LIMIT, swap: LIMIT }, pids: { limit: 10 }, devices: [{ allow: false }] },
  options: { "memory.limit": "--mem" },
  defaults: ["memory.swap", "pids.limit"],
}

describe("remove", () => {
  test("one rmdir, and the slice when empty", () => {
    const { cgroups, fake } = v2Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    fake.log.length = 0
    manager.remove()
    expect(fake.log).toEqual([`rmdir ${DIR}`, `rmdir ${ROOT}/toybox.slice`])
    manager.remove()
  })

  test("leaves a slice that another container uses", () => {
    const { cgroups, fake } = v2Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    const second = createCgroup(cgroups, { ...request, path: "/toybox.slice/c2" }, { io: fake.io })
    manager.remove()
    expect(fake.dirs).toEqual(new Set([ROOT, `${ROOT}/toybox.slice`, `${ROOT}/toybox.slice/c2`]))
    second.manager.remove()
    expect(fake.dirs).toEqual(new Set([ROOT]))
  })

  test("removes a --cgroup-parent that it made, and leaves one that was there", () => {
    const { cgroups, fake } = v2Machine()
    fake.io.mkdir(`${ROOT}/old`)
    const { manager } = createCgroup(cgroups, { path: "/old/new/c1", resources: {} }, { io: fake.io })
    manager.remove()
    expect(fake.dirs).toEqual(new Set([ROOT, `${ROOT}/old`]))
  })

  test("takes the container's own cgroups along, and waits for the last process", () => {
    const { cgroups, fake } = v2Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    fake.io.mkdir(`${DIR}/inner`)
    fake.io.mkdir(`${DIR}/inner/most`)
    fake.files.set(`${DIR}/inner/most/cgroup.procs`, "5\n")
    const { sleep } = fake.io
    fake.io.sleep = (duration) => {
      sleep(duration)
      if (fake.slept > 30) fake.io.kill(5)
    }
    manager.remove()
    expect(fake.dirs).toEqual(new Set([ROOT]))
    expect(fake.slept).toBeLessThan(100)
  })

  test("gives up after a second, naming who is in it", () => {
    const { cgroups, fake } = v2Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    fake.files.set(`${DIR}/cgroup.procs`, "5\n6\n")
    expect(() => manager.remove()).toThrow(`remove cgroup ${DIR}: it is busy with process 5 6`)
    expect(fake.slept).toBeGreaterThanOrEqual(1000)
    expect(fake.slept).toBeLessThan(1100)
  })
})

test("kill writes cgroup.kill; without that file it freezes, kills and thaws", () => {
  const modern = v2Machine()
  const first = createCgroup(modern.cgroups, request, { io: modern.fake.io }).manager
  first.kill()
  expect(modern.fake.log.at(-1)).toBe(`1 > ${DIR}/cgroup.kill`)
  const old = v2Machine({ lacks: ["cgroup.kill"] })
  const second = createCgroup(old.cgroups, request, { io: old.fake.io }).manager
  old.fake.files.set(`${DIR}/cgroup.procs`, "5\n6")
  old.fake.log.length = 0
  second.kill()
  expect(old.fake.log).toEqual([`1 > ${DIR}/cgroup.freeze`, "kill 5", "kill 6", `0 > ${DIR}/cgroup.freeze`])
})

test("stats, OOM kills and limit; killing what is gone is fine", () => {
  const { cgroups, fake } = v2Machine()
  const { manager } = createCgroup(cgroups, request, { io: fake.io })
  fake.files.set(`${DIR}/io.stat`, "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n8:16 rbytes=5 wbytes=0 rios=1 wios=0\n")
  const full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
  fake.files.set(`${DIR}/memory.pressure`, `some avg10=1.50 avg60=0.10 avg300=0.02 total=1234\n${full}`)
  fake.files.set(`${DIR}/memory.stat`, "anon 5\ninactive_file 4000\n")
  expect(openCgroup(manager.handle, fake.io).stats()).toMatchObject({
    memoryCurrentBytes: 4096,
    memoryPeakBytes: 8192,
    memoryLimitBytes: LIMIT,
    oomKills: 2,
    cpuUsageUsec: 5,
    cpuUserUsec: 3,
    cpuSystemUsec: 2,
    periods: 7,
    throttledPeriods: 4,
    throttledUsec: 9,
    pidsCurrent: 6,
    pidsLimit: 10,
    inactiveFileBytes: 4000,
    blockReadBytes: 15,
    blockWriteBytes: 20,
    pressure: { cpu: null, memory: { someAvg10: 1.5, someTotalUsec: 1234 }, io: null },
  })
  expect(manager.oomKills()).toBe(2)
  expect(manager.memoryLimit()).toBe(LIMIT)
  manager.remove()
  expect(manager.oomKills()).toBe(0)
  expect(manager.stats().memoryPeakBytes).toBeNull()
  manager.kill()
})

test("no hierarchy at all", () => {
  expect(() => planCgroup({ mode: "none" }, request)).toThrow("no cgroup hierarchy is mounted")
})
