import { describe, expect, test } from "bun:test"
import { v1Writes } from "../../../../src/cgroup/v1/writes.ts"
import type { LinuxMemory, LinuxResources } from "../../../../src/oci/resources.ts"

const shown = (resources: LinuxResources) => v1Writes(resources).map(({ file, value }) => `${file} ${value}`)
const order = (memory: LinuxMemory, memsw: number) =>
  v1Writes({ memory }, { memsw }).map(({ file, value }) => `${file} ${value}`)

describe("v1Writes", () => {
  test.each<[string, LinuxResources, string[]]>([
    [
      "quota and period",
      { cpu: { quota: 10_000, period: 50_000 } },
      ["cpu.cfs_period_us 50000", "cpu.cfs_quota_us 10000"],
    ],
    ["no quota", { cpu: { quota: -1 } }, ["cpu.cfs_quota_us -1"]],
    ["shares as they are", { cpu: { shares: 512 } }, ["cpu.shares 512"]],
    ["realtime", { cpu: { realtimePeriod: 9, realtimeRuntime: 5 } }, ["cpu.rt_period_us 9", "cpu.rt_runtime_us 5"]],
    ["cpuset is not here", { cpu: { cpus: "0" } }, []],
    [
      "memory without swap",
      { memory: { limit: 1000, swap: 1000 } },
      ["memory.limit_in_bytes 1000", "memory.memsw.limit_in_bytes 1000"],
    ],
    [
      "other memory files",
      { memory: { reservation: 5, swappiness: 0, disableOOMKiller: true, useHierarchy: true } },
      ["memory.use_hierarchy 1", "memory.soft_limit_in_bytes 5", "memory.swappiness 0", "memory.oom_control 1"],
    ],
    ["pids", { pids: { limit: -1 } }, ["pids.max max"]],
    [
      "block I/O",
      {
        blockIO: {
          weight: 300,
          throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 7 }],
          throttleWriteIOPSDevice: [{ major: 8, minor: 1, rate: 9 }],
        },
      },
      ["blkio.weight 300", "blkio.throttle.read_bps_device 8:0 7", "blkio.throttle.write_iops_device 8:1 9"],
    ],
    [
      "network",
      { network: { classID: 1_048_577, priorities: [{ name: "eth0", priority: 5 }] } },
      ["net_cls.classid 1048577", "net_prio.ifpriomap eth0 5"],
    ],
    [
      "huge pages",
      { hugepageLimits: [{ pageSize: "1GB", limit: 0 }] },
      ["hugetlb.1GB.limit_in_bytes 0", "hugetlb.1GB.rsvd.limit_in_bytes 0"],
    ],
    ["devices last", { devices: [{ allow: false }], pids: { limit: 3 } }, ["pids.max 3", "devices.deny a"]],
  ])("%s", (_, resources, lines) => {
    expect(shown(resources)).toEqual(lines)
  })

  test("the killer of processes is off in no new cgroup, and comes back by an update", () => {
    expect(shown({ memory: { disableOOMKiller: false } })).toEqual([])
    expect(order({ disableOOMKiller: false }, 10)).toEqual(["memory.oom_control 0"])
  })

  test("a raise writes memsw first, a lowering the limit first", () => {
    expect(order({ limit: 20, swap: 20 }, 10)).toEqual(["memory.memsw.limit_in_bytes 20", "memory.limit_in_bytes 20"])
    expect(order({ limit: 5, swap: 5 }, 10)).toEqual(["memory.limit_in_bytes 5", "memory.memsw.limit_in_bytes 5"])
    expect(order({ limit: 20, swap: -1 }, 10)).toEqual(["memory.memsw.limit_in_bytes -1", "memory.limit_in_bytes 20"])
  })

  test("BFQ's file where CFQ's is gone", () => {
    expect(v1Writes({ blockIO: { weight: 300 } })[0]?.others).toEqual([{ file: "blkio.bfq.weight", value: "300" }])
  })
})
