import { describe, expect, test } from "bun:test"
import { v2Writes } from "../../../../src/cgroup/v2/writes.ts"
import type { LinuxResources } from "../../../../src/oci/resources.ts"

const shown = (resources: LinuxResources) => v2Writes(resources).map(({ file, value }) => `${file} ${value}`)
const MIB = 1 << 20

describe("v2Writes", () => {
  test.each<[string, LinuxResources, string[]]>([
    ["nothing", {}, []],
    ["quota and period", { cpu: { quota: 10_000, period: 100_000 } }, ["cpu.max 10000 100000"]],
    ["a quota alone keeps the period", { cpu: { quota: 5000 } }, ["cpu.max 5000"]],
    ["no quota", { cpu: { quota: -1, period: 50_000 } }, ["cpu.max max 50000"]],
    ["burst after quota", { cpu: { quota: 5000, burst: 1000 } }, ["cpu.max 5000", "cpu.max.burst 1000"]],
    ["shares", { cpu: { shares: 512 } }, ["cpu.weight 59"]],
    ["idle goes in last", { cpu: { shares: 1024, idle: 1 } }, ["cpu.weight 100", "cpu.idle 1"]],
    ["idle goes out first", { cpu: { shares: 1024, idle: 0 } }, ["cpu.idle 0", "cpu.weight 100"]],
    ["cpuset", { cpu: { cpus: "0-1", mems: "0" } }, ["cpuset.cpus 0-1", "cpuset.mems 0"]],
    ["empty cpuset", { cpu: { cpus: "", mems: "" } }, []],
    [
      "memory without swap",
      { memory: { limit: 500 * MIB, swap: 500 * MIB } },
      ["memory.max 524288000", "memory.swap.max 0"],
    ],
    ["memory with swap", { memory: { limit: MIB, swap: 3 * MIB } }, ["memory.max 1048576", "memory.swap.max 2097152"]],
    ["unlimited", { memory: { limit: -1, swap: -1 } }, ["memory.max max", "memory.swap.max max"]],
    ["reservation", { memory: { reservation: MIB } }, ["memory.low 1048576"]],
    ["beyond 2^53, never in exponents", { memory: { limit: 2 ** 62 } }, ["memory.max 4611686018427387904"]],
    ["pids", { pids: { limit: 7 } }, ["pids.max 7"]],
    ["pids unlimited", { pids: { limit: -1 } }, ["pids.max max"]],
    ["pids 0 is unset", { pids: { limit: 0 } }, []],
    ["io weight", { blockIO: { weight: 1000 } }, ["io.weight default 10000"]],
    ["io weight of a device", { blockIO: { weightDevice: [{ major: 8, minor: 0, weight: 10 }] } }, ["io.weight 8:0 1"]],
    [
      "io limits, one line per device",
      {
        blockIO: {
          throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 100 }],
          throttleWriteBpsDevice: [{ major: 8, minor: 16, rate: 200 }],
          throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 0 }],
          throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 300 }],
        },
      },
      ["io.max 8:0 rbps=100 riops=max wiops=300", "io.max 8:16 wbps=200"],
    ],
    [
      "huge pages",
      { hugepageLimits: [{ pageSize: "2MB", limit: 4 * MIB }] },
      ["hugetlb.2MB.max 4194304", "hugetlb.2MB.rsvd.max 4194304"],
    ],
    ["rdma", { rdma: { mlx5_0: { hcaHandles: 3, hcaObjects: 9 } } }, ["rdma.max mlx5_0 hca_handle=3 hca_object=9"]],
    [
      "unified last, a line per write",
      { memory: { limit: MIB }, unified: { "memory.high": "9", "io.max": "8:0 rbps=1\n8:16 rbps=2\n" } },
      ["memory.max 1048576", "memory.high 9", "io.max 8:0 rbps=1", "io.max 8:16 rbps=2"],
    ],
  ])("%s", (_, resources, lines) => {
    expect(shown(resources)).toEqual(lines)
  })

  test("io.weight has its BFQ twin, with the range of that", () => {
    expect(v2Writes({ blockIO: { weight: 500 } })[0]).toMatchObject({
      use: "all",
      others: [{ file: "io.bfq.weight", value: "default 500" }],
    })
    expect(v2Writes({ unified: { "io.weight": "default 10000" } })[0]?.others).toEqual([
      { file: "io.bfq.weight", value: "default 1000" },
    ])
  })

  test.each([
    "../memory.max",
    "memory.max/",
    "a/b.c",
    "memory",
    ".max",
    "cgroup.procs",
    "cgroup.kill",
    "cgroup.freeze",
    "",
  ])("unified refuses %j", (key) => {
    expect(() => v2Writes({ unified: { [key]: "1" } })).toThrow("linux.resources.unified")
  })

  test.each<[string, LinuxResources, string]>([
    ["swap without memory", { memory: { swap: 5 } }, "memory.limit is missing"],
    ["swap below memory", { memory: { limit: 10, swap: 5 } }, "5 is below memory.limit (10)"],
    ["page size", { hugepageLimits: [{ pageSize: "../x", limit: 1 }] }, '"../x" is not a page size'],
    ["rdma device", { rdma: { "a b": {} } }, '"a b" is not the name of a device'],
  ])("refuses %s", (_, resources, message) => {
    expect(() => v2Writes(resources)).toThrow(message)
  })
})
