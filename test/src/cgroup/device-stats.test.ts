import { expect, test } from "bun:test"
import { readDeviceStats } from "../../../src/cgroup/device-stats.ts"
import { openCgroup } from "../../../src/cgroup/manager.ts"
import { readDetailStats } from "../../../src/cgroup/memory-stats.ts"
import { statsEvent } from "../../../src/container/oci/events.ts"
import { fakeCgroups } from "./fake.ts"

const V1 = { version: 1, path: "/a", dirs: { memory: "/m", blkio: "/b", hugetlb: "/h" }, parents: [] } as const
const V2 = { version: 2, path: "/a", dirs: { unified: "/u" }, parents: [] } as const

const fake = (roots: Parameters<typeof fakeCgroups>[0]) => fakeCgroups(roots, () => ({})).io

test("v1: counters of each device, pages of each size, as runc prints them", () => {
  const io = fake({
    "/m": { "memory.failcnt": "3\n", "memory.limit_in_bytes": "1024\n" },
    "/b": {
      "blkio.bfq.io_serviced_recursive": "Total 0\n",
      "blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 0\n8:0 Total 1\nTotal 1\n",
      "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\nTotal 4096\n",
    },
    "/h": {
      "hugetlb.2MB.usage_in_bytes": "2097152\n",
      "hugetlb.2MB.max_usage_in_bytes": "4194304\n",
      "hugetlb.2MB.failcnt": "5\n",
      "hugetlb.1GB.usage_in_bytes": "7\n",
      "hugetlb.1GB.rsvd.usage_in_bytes": "0\n",
      "hugetlb.1GB.rsvd.max_usage_in_bytes": "0\n",
      "hugetlb.1GB.rsvd.failcnt": "0\n",
    },
  })
  const { data } = statsEvent("a", {
    stats: openCgroup(V1, io).stats(),
    devices: readDeviceStats(V1, io),
    details: readDetailStats(V1, io),
  })
  expect(data.blkio).toEqual({
    ioServiceBytesRecursive: [
      { major: 8, op: "Read", value: 4096 },
      { major: 8, op: "Write" },
      { major: 8, op: "Total", value: 4096 },
    ],
    ioServicedRecursive: [
      { major: 8, op: "Read", value: 1 },
      { major: 8, op: "Write" },
      { major: 8, op: "Total", value: 1 },
    ],
  })
  expect(data.hugetlb as unknown).toEqual({
    "2MB": { usage: 2097152, max: 4194304, failcnt: 5 },
    "1GB": { failcnt: 0 },
  })
  expect(data.memory.usage).toMatchObject({ limit: 1024, failcnt: 3 })
})

test("v2: the same from io.stat, hugetlb.*.current and the events", () => {
  const io = fake({
    "/u": {
      "io.stat": "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=9 dios=9\n254:16 rbytes=1 wbytes=2 rios=3 wios=4\n",
      "hugetlb.2MB.current": "2097152\n",
      "hugetlb.2MB.events": "max 4\n",
      "memory.events": "low 0\nhigh 0\nmax 8\noom 0\noom_kill 0\n",
    },
  })
  const stats = readDeviceStats(V2, io)
  expect(stats.ioBytes).toEqual([
    { major: 8, minor: 0, op: "Read", value: 4096 },
    { major: 8, minor: 0, op: "Write", value: 0 },
    { major: 254, minor: 16, op: "Read", value: 1 },
    { major: 254, minor: 16, op: "Write", value: 2 },
  ])
  expect(stats.ioOperations.map(({ value }) => value)).toEqual([1, 0, 3, 4])
  expect(stats.hugePages).toEqual({ "2MB": { usageBytes: 2097152, maxBytes: 0, failures: 4 } })
  expect(stats.memoryFailures).toBe(8)
})

test("a machine without such controllers has none of it", () => {
  const nothing = { ioBytes: [], ioOperations: [], hugePages: {}, memoryFailures: 0 }
  expect(readDeviceStats({ ...V1, dirs: {} }, fake({}))).toEqual(nothing)
  expect(readDeviceStats(V2, fake({ "/u": {} }))).toEqual(nothing)
})
