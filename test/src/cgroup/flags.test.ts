import { describe, expect, test } from "bun:test"
import { type FlagFacts, type ResourceFlags, resourcesFromFlags } from "../../../src/cgroup/flags.ts"

const facts: FlagFacts = {
  version: 2,
  onlineCpus: () => "0-3\n",
  onlineNodes: () => "0\n",
  blockDevice: (_option, _text, path) => ({ major: 8, minor: path.length }),
}
const flag = (option: string, text: string) => ({ option, text })
const MIB = 1 << 20

describe("resourcesFromFlags", () => {
  test("the main job", () => {
    expect(resourcesFromFlags({ cpu: flag("--cpu", "10%"), memory: flag("--mem", "500M") }, facts)).toEqual({
      resources: {
        cpu: { quota: 10_000, period: 100_000 },
        memory: { limit: 500 * MIB, swap: 500 * MIB },
        pids: { limit: 4096 },
      },
      options: { "cpu.quota": "--cpu", "cpu.period": "--cpu", "memory.limit": "--mem" },
      defaults: ["memory.swap", "pids.limit"],
    })
  })

  test("nothing asked: only toybox's own default", () => {
    expect(resourcesFromFlags({}, facts)).toEqual({
      resources: { pids: { limit: 4096 } },
      options: {},
      defaults: ["memory.swap", "pids.limit"],
    })
  })

  test("everything", () => {
    const flags: ResourceFlags = {
      cpus: flag("--cpus", "1.5"),
      cpuWeight: flag("--cpu-weight", "100"),
      cpusetCpus: flag("--cpuset", "0-1"),
      cpusetMems: flag("--cpuset-mems", "0"),
      memory: flag("-m", "64m"),
      memorySwap: flag("--memory-swap", "-1"),
      pids: flag("--pids", "-1"),
      blkioWeight: flag("--blkio-weight", "300"),
      deviceReadBps: [flag("--device-read-bps", "/dev/sda:1mb"), flag("--device-read-bps", "/dev/sdab:2mb")],
      deviceWriteIops: [flag("--device-write-iops", "/dev/sda:9")],
    }
    expect(resourcesFromFlags(flags, facts)).toEqual({
      resources: {
        cpu: { quota: 150_000, period: 100_000, shares: 1024, cpus: "0-1", mems: "0" },
        memory: { limit: 64 * MIB, swap: -1 },
        pids: { limit: -1 },
        blockIO: {
          weight: 300,
          throttleReadBpsDevice: [
            { major: 8, minor: 8, rate: MIB },
            { major: 8, minor: 9, rate: 2 * MIB },
          ],
          throttleWriteIOPSDevice: [{ major: 8, minor: 8, rate: 9 }],
        },
      },
      options: expect.objectContaining({ "memory.swap": "--memory-swap", "blockIO.weight": "--blkio-weight" }),
      defaults: [],
    })
  })

  test("--io-weight is exact on v2, and the nearest there is on v1", () => {
    const flags = { ioWeight: flag("--io-weight", "10000") }
    expect(resourcesFromFlags(flags, facts).resources.unified).toEqual({ "io.weight": "default 10000" })
    expect(resourcesFromFlags(flags, { ...facts, version: 1 }).resources.blockIO).toEqual({ weight: 1000 })
  })

  test.each<[ResourceFlags, string]>([
    [{ cpu: flag("--cpu", "1"), cpus: flag("--cpus", "1") }, "--cpu and --cpus exclude each other"],
    [{ cpuShares: flag("--cpu-shares", "2"), cpuWeight: flag("--cpu-weight", "1") }, "exclude each other"],
    [{ ioWeight: flag("--io-weight", "2"), blkioWeight: flag("--blkio-weight", "10") }, "exclude each other"],
    [{ cpusetCpus: flag("--cpuset", "4") }, "CPU 4 is not online"],
    [{ swap: flag("--swap", "1g") }, "--swap needs a memory limit"],
  ])("refuses %j", (flags, message) => {
    expect(() => resourcesFromFlags(flags, facts)).toThrow(message)
  })
})
