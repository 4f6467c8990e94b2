import { describe, expect, test } from "bun:test"
import { createCgroup, planCgroup } from "../../../src/cgroup/manager.ts"
import type { CgroupHandle, CgroupRequest } from "../../../src/cgroup/plan.ts"
import { updateCgroup } from "../../../src/cgroup/update.ts"
import { DEFAULT_DEVICE_RULES } from "../../../src/spec/defaults.ts"
import { fail } from "./fake.ts"
import { ROOT, v1Machine } from "./machines.ts"

const path = "/toybox.slice/c1"
const at = (controller: string, file = "") => `${ROOT}/${controller}${path}${file && `/${file}`}`
const LIMIT = 64 << 20
const request: CgroupRequest = {
  path,
  resources: {
    memory: { limit: LIMIT, swap: LIMIT },
    cpu: { quota: 10_000, period: 50_000 },
    devices: DEFAULT_DEVICE_RULES,
  },
  options: { "memory.limit": "--mem" },
  defaults: ["memory.swap"],
}

describe("create", () => {
  test("one directory per hierarchy in use, limits written, nothing attached", () => {
    const { cgroups, fake } = v1Machine()
    const { manager, notices } = createCgroup(cgroups, request, { io: fake.io })
    expect(notices).toEqual([])
    expect(fake.files.get(at("memory", "memory.limit_in_bytes"))).toBe(`${LIMIT}`)
    expect(fake.files.get(at("memory", "memory.memsw.limit_in_bytes"))).toBe(`${LIMIT}`)
    expect(fake.files.get(at("cpu,cpuacct", "cpu.cfs_quota_us"))).toBe("10000")
    expect(fake.files.get(at("cpu,cpuacct", "cpu.cfs_period_us"))).toBe("50000")
    expect(fake.log.filter((line) => line.includes("devices.")).slice(0, 2)).toEqual([
      `a > ${at("devices", "devices.deny")}`,
      `c *:* m > ${at("devices", "devices.allow")}`,
    ])
    const joined = ["memory", "cpu,cpuacct", "pids", "devices", "freezer"]
    expect(manager.join).toEqual({ into: null, files: joined.map((name) => at(name, "tasks")) })
    expect(fake.dirs.has(at("cpuset"))).toBe(false)
    expect(fake.dirs.has(at("blkio"))).toBe(false)
  })

  test("cpuset is filled from the top down", () => {
    const { cgroups, fake } = v1Machine()
    createCgroup(cgroups, { path: "/a/b/c", resources: { cpu: { cpus: "1" } } }, { io: fake.io })
    expect(fake.log.filter((line) => line.includes("cpuset"))).toEqual([
      `mkdir ${ROOT}/cpuset/a`,
      `0-3 > ${ROOT}/cpuset/a/cpuset.cpus`,
      `0-1 > ${ROOT}/cpuset/a/cpuset.mems`,
      `mkdir ${ROOT}/cpuset/a/b`,
      `0-3 > ${ROOT}/cpuset/a/b/cpuset.cpus`,
      `0-1 > ${ROOT}/cpuset/a/b/cpuset.mems`,
      `mkdir ${ROOT}/cpuset/a/b/c`,
      `1 > ${ROOT}/cpuset/a/b/c/cpuset.cpus`,
      `0-1 > ${ROOT}/cpuset/a/b/c/cpuset.mems`,
    ])
  })

  test("a parent's narrower cpuset is inherited, not overwritten", () => {
    const { cgroups, fake } = v1Machine()
    fake.io.mkdir(`${ROOT}/cpuset/toybox.slice`)
    fake.files.set(`${ROOT}/cpuset/toybox.slice/cpuset.cpus`, "2\n")
    createCgroup(cgroups, { path, resources: {}, allControllers: true }, { io: fake.io })
    expect(fake.files.get(`${ROOT}/cpuset/toybox.slice/cpuset.cpus`)).toBe("2\n")
    expect(fake.files.get(at("cpuset", "cpuset.cpus"))).toBe("2")
    expect(fake.files.get(at("cpuset", "cpuset.mems"))).toBe("0-1")
  })

  test("without swap accounting: swappiness 0 and a notice", () => {
    const { cgroups, fake } = v1Machine({ lacks: ["memory.memsw.limit_in_bytes"] })
    const { notices } = createCgroup(cgroups, request, { io: fake.io })
    expect(notices).toEqual([
      "this kernel does not account swap: swapping is discouraged (swappiness 0) instead of forbidden",
    ])
    expect(fake.files.get(at("memory", "memory.swappiness"))).toBe("0")
    const more = { ...request, path: "/toybox.slice/c2", resources: { memory: { limit: LIMIT, swap: 2 * LIMIT } } }
    expect(() => createCgroup(cgroups, { ...more, defaults: [] }, { io: fake.io })).toThrow(
      "linux.resources.memory.swap",
    )
  })

  test("BFQ's weight file where CFQ's is gone", () => {
    const { cgroups, fake } = v1Machine()
    createCgroup(cgroups, { path, resources: { blockIO: { weight: 300 } } }, { io: fake.io })
    expect(fake.files.get(at("blkio", "blkio.bfq.weight"))).toBe("300")
  })
})

describe("what is not mounted", () => {
  test("is an error where somebody asked for it", () => {
    const memory = v1Machine({ without: ["memory"] })
    expect(() => planCgroup(memory.cgroups, request, memory.fake.io)).toThrow(
      "--mem: the memory controller is not mounted (cgroup v1; mounted are: cpu cpuacct cpuset pids devices freezer blkio)",
    )
    const cpuset = v1Machine({ without: ["cpuset"] })
    const asked = { path, resources: { cpu: { cpus: "0" } }, options: { "cpu.cpus": "--cpuset" } }
    expect(() => planCgroup(cpuset.cgroups, asked, cpuset.fake.io)).toThrow(
      "--cpuset: the cpuset controller is not mounted",
    )
    const devices = v1Machine({ without: ["devices"] })
    expect(() => planCgroup(devices.cgroups, request, devices.fake.io)).toThrow("devices controller is not mounted")
    expect(
      planCgroup(devices.cgroups, { ...request, devicesOptional: true }, devices.fake.io).steps.length,
    ).toBeGreaterThan(0)
  })

  test("is left out where nobody did", () => {
    const { cgroups, fake } = v1Machine({ without: ["pids", "freezer"] })
    const { manager } = createCgroup(
      cgroups,
      { path, resources: { pids: { limit: 5 } }, defaults: ["pids.limit"] },
      { io: fake.io },
    )
    expect(Object.keys(manager.handle.dirs).sort()).toEqual(["cpu", "cpuacct", "devices", "memory"])
  })

  test("unified files are refused", () => {
    const { cgroups, fake } = v1Machine()
    const create = () =>
      createCgroup(cgroups, { path, resources: { unified: { "memory.high": "1" } } }, { io: fake.io })
    expect(create).toThrow("linux.resources.unified: not possible here: this machine has cgroup v1")
  })
})

test("a failure at any write leaves nothing", () => {
  const before = v1Machine().fake.dirs
  for (let index = 0; ; index++) {
    const { cgroups, fake } = v1Machine()
    const seen: string[] = []
    fake.onWrite = (file, text) => {
      const what = `${text} > ${file}`
      if (!seen.includes(what)) seen.push(what)
      if (seen[index] === what) throw fail("write", "EPERM", file)
    }
    try {
      createCgroup(cgroups, request, { io: fake.io })
      expect(index).toBeGreaterThan(10)
      return
    } catch (error) {
      expect(error).toMatchObject({ cause: { errno: "EPERM" } })
      expect(fake.dirs).toEqual(before)
    }
  }
})

test("remove takes every directory and the empty slices", () => {
  const { cgroups, fake } = v1Machine()
  const before = new Set(fake.dirs)
  const { manager } = createCgroup(cgroups, request, { io: fake.io })
  expect(fake.dirs.size).toBe(before.size + 10)
  manager.remove()
  expect(fake.dirs).toEqual(before)
})

test("kill freezes, kills everything below, thaws, until nothing is left", () => {
  const { cgroups, fake } = v1Machine()
  const { manager } = createCgroup(cgroups, request, { io: fake.io })
  fake.io.mkdir(`${at("freezer")}/inner`)
  fake.files.set(at("freezer", "cgroup.procs"), "5")
  fake.files.set(`${at("freezer")}/inner/cgroup.procs`, "6")
  fake.log.length = 0
  manager.kill()
  const state = at("freezer", "freezer.state")
  const inner = `${at("freezer")}/inner/freezer.state`
  expect(fake.log).toEqual([`FROZEN > ${state}`, "kill 5", "kill 6", `THAWED > ${state}`, `THAWED > ${inner}`])
})

test("kill finds who has entered one hierarchy only, as while a container is made", () => {
  const { cgroups, fake } = v1Machine()
  const { manager } = createCgroup(cgroups, request, { io: fake.io })
  fake.files.set(at("memory", "cgroup.procs"), "7")
  fake.log.length = 0
  manager.kill()
  expect(fake.log).toContain("kill 7")
  expect(fake.files.get(at("memory", "cgroup.procs"))).not.toContain("7")
})

test("kill gives up on what does not die, and leaves it thawed", () => {
  const { cgroups, fake } = v1Machine()
  const { manager } = createCgroup(cgroups, request, { io: fake.io })
  fake.files.set(at("freezer", "cgroup.procs"), "5")
  fake.io.kill = () => {}
  expect(() => manager.kill()).toThrow("process 5 does not die")
  expect(fake.files.get(at("freezer", "freezer.state"))).toBe("THAWED")
})

test("stats in the units of v2", () => {
  const { cgroups, fake } = v1Machine()
  const { manager } = createCgroup(cgroups, { path, resources: {}, allControllers: true }, { io: fake.io })
  const serviced = "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 5\nTotal 35\n"
  fake.files.set(at("blkio", "blkio.throttle.io_service_bytes_recursive"), serviced)
  expect(manager.stats()).toMatchObject({
    memoryCurrentBytes: 4096,
    memoryPeakBytes: 8192,
    memoryLimitBytes: null,
    oomKills: 2,
    cpuUsageUsec: 5,
    cpuUserUsec: 3,
    cpuSystemUsec: 2,
    periods: 7,
    throttledPeriods: 4,
    throttledUsec: 9,
    pidsCurrent: 6,
    blockReadBytes: 15,
    blockWriteBytes: 20,
    pressure: { cpu: null, memory: null, io: null },
  })
  expect(manager.oomKills()).toBe(2)
})

describe("update", () => {
  test("raises memory in the order the kernel accepts, and leaves the rest", () => {
    const { cgroups, fake } = v1Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    fake.log.length = 0
    updateCgroup(cgroups, manager.handle, { resources: { memory: { limit: 2 * LIMIT, swap: 2 * LIMIT } } }, fake.io)
    expect(fake.log).toEqual([
      `${2 * LIMIT} > ${at("memory", "memory.memsw.limit_in_bytes")}`,
      `${2 * LIMIT} > ${at("memory", "memory.limit_in_bytes")}`,
    ])
  })

  test("joins a hierarchy that is only now of use, and keeps the other half of a cpuset later", () => {
    const { cgroups, fake } = v1Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    const first = updateCgroup(cgroups, manager.handle, { resources: { cpu: { cpus: "1", mems: "0" } } }, fake.io)
    expect(first.handle.dirs.cpuset).toBe(at("cpuset"))
    updateCgroup(cgroups, first.handle, { resources: { cpu: { cpus: "2" } } }, fake.io)
    expect(fake.files.get(at("cpuset", "cpuset.cpus"))).toBe("2")
    expect(fake.files.get(at("cpuset", "cpuset.mems"))).toBe("0")
  })

  test("what the kernel refuses leaves all as it was, also what had no value of its own", () => {
    const { cgroups, fake } = v1Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    const before = new Map(fake.files)
    const device = { major: 8, minor: 0 }
    const resources = {
      cpu: { shares: 512, quota: 20_000 },
      memory: { limit: 2 * LIMIT, swap: 2 * LIMIT, swappiness: 9 },
      blockIO: { weight: 300, throttleReadBpsDevice: [{ ...device, rate: 1000 }] },
    }
    const throttle = "blkio.throttle.read_bps_device"
    fake.onWrite = (path) => {
      if (path.endsWith(throttle)) throw fail("write", "ENODEV", path)
    }
    expect(() => updateCgroup(cgroups, manager.handle, { resources }, fake.io)).toThrow(throttle)
    const values = (files: ReadonlyMap<string, string>) =>
      ["memory", "cpu,cpuacct"].flatMap((controller) =>
        [...files].filter(([path]) => path.startsWith(at(controller))).map(([path, text]) => [path, text.trim()]),
      )
    expect(values(fake.files)).toEqual(values(before))
    expect(fake.dirs.has(at("blkio"))).toBe(false)
    // As the caller asks for it, later.
    fake.onWrite = () => {}
    const { undo } = updateCgroup(cgroups, manager.handle, { resources: { ...resources, blockIO: {} } }, fake.io)
    const error = new Error("full disk")
    expect(undo(error)).toBe(error)
    expect(values(fake.files)).toEqual(values(before))
  })

  test("tells what it is about to make, and takes what a killed one has made", () => {
    const { cgroups, fake } = v1Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    const update = () => {
      const told: (readonly string[])[] = []
      const announce = ({ dirs, parents }: CgroupHandle) => {
        expect([dirs, told]).toEqual([manager.handle.dirs, []])
        told.push(parents)
      }
      const change = { resources: { cpu: { cpus: "1", mems: "0" } } }
      const { handle } = updateCgroup(cgroups, manager.handle, change, fake.io, announce)
      expect(told).toEqual([[at("cpuset"), ...manager.handle.parents]])
      return handle.dirs.cpuset
    }
    expect([update(), update()]).toEqual([at("cpuset"), at("cpuset")])
  })

  test("checkBeforeUpdate", () => {
    const { cgroups, fake } = v1Machine()
    const { manager } = createCgroup(cgroups, request, { io: fake.io })
    const update = () =>
      updateCgroup(
        cgroups,
        manager.handle,
        { resources: { memory: { limit: 4095, checkBeforeUpdate: true } } },
        fake.io,
      )
    expect(update).toThrow("4095 is below the 4096 bytes in use")
  })
})
