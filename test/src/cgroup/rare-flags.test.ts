import { describe, expect, test } from "bun:test"
import type { FlagFacts } from "../../../src/cgroup/flags.ts"
import { type RareFlags, rareResources } from "../../../src/cgroup/rare-flags.ts"
import type { LinuxResources } from "../../../src/oci/resources.ts"

const facts = (version: 1 | 2): FlagFacts => ({
  version,
  onlineCpus: () => "0-3\n",
  onlineNodes: () => "0\n",
  blockDevice: (_option, _text, path) => ({ major: 8, minor: path.length }),
})
const flag = (option: string, text: string) => ({ option, text })
const quota = (text: string) => ({ cpuQuota: flag("--cpu-quota", text) })
const period = (text: string) => ({ cpuPeriod: flag("--cpu-period", text) })
const runtime = (text: string) => ({ realtimeRuntime: flag("--cpu-rt-runtime", text) })
const weight = (text: string) => ({ blkioWeightDevice: [flag("--blkio-weight-device", text)] })

describe("rarely used limits", () => {
  test.each<[RareFlags, LinuxResources, LinuxResources]>([
    [{}, {}, {}],
    [quota("20000"), {}, { cpu: { quota: 20_000, period: 100_000 } }],
    [period("50000"), {}, { cpu: { quota: -1, period: 50_000 } }],
    [{ ...quota("1000"), ...period("1000000") }, {}, { cpu: { quota: 1000, period: 1_000_000 } }],
    [quota("-1"), {}, { cpu: { quota: -1, period: 100_000 } }],
    // What a container has already is not lost by half of it.
    [quota("20000"), { cpu: { quota: 7000, period: 50_000 } }, { cpu: { quota: 20_000, period: 50_000 } }],
    [period("0"), { cpu: { quota: 7000, period: 50_000 } }, { cpu: { quota: 7000, period: 100_000 } }],
    [weight("/dev/sda:500"), {}, { blockIO: { weightDevice: [{ major: 8, minor: 8, weight: 500 }] } }],
    [
      { realtimePeriod: flag("--cpu-rt-period", "500000"), ...runtime("500000") },
      {},
      { cpu: { realtimePeriod: 500_000, realtimeRuntime: 500_000 } },
    ],
    [
      { swappiness: flag("--memory-swappiness", "0"), oomKillDisable: "--oom-kill-disable" },
      {},
      { memory: { swappiness: 0, disableOOMKiller: true } },
    ],
  ])("%j over %j", (flags, had, resources) => {
    expect(rareResources(flags, facts(1), had)).toMatchObject({ resources, defaults: [] })
  })

  test("messages name the options", () => {
    const asked = { ...quota("5000"), ...period("20000"), ...weight("/dev/sda:10") }
    expect(rareResources(asked, facts(2), {}).options).toEqual({
      "cpu.quota": "--cpu-quota",
      "cpu.period": "--cpu-period",
      "blockIO.weightDevice": "--blkio-weight-device",
    })
  })

  test.each<[RareFlags, 1 | 2, string]>([
    [{ ...quota("20000"), cpuAmount: "--cpus" }, 2, "--cpus and --cpu-quota exclude each other"],
    [{ ...period("20000"), cpuAmount: "--cpu" }, 1, "--cpu and --cpu-period exclude each other"],
    [quota("999"), 2, '--cpu-quota: "999" is not a quota in microseconds'],
    [quota("1e5"), 2, "--cpu-quota"],
    [period("999"), 2, '--cpu-period: "999" is not a period in microseconds (use 1000 to 1000000)'],
    [period("1000001"), 2, "--cpu-period"],
    [runtime("1000001"), 1, "--cpu-rt-runtime"],
    [{ realtimePeriod: flag("--cpu-rt-period", "10"), ...runtime("11") }, 1, "do not fit in a period of 10 µs"],
    [runtime("10"), 2, "--cpu-rt-runtime: cgroup v2, which this machine has, has no such setting"],
    [{ swappiness: flag("--memory-swappiness", "60") }, 2, "--memory-swappiness: cgroup v2"],
    [{ swappiness: flag("--memory-swappiness", "101") }, 1, "use 0 to 100"],
    [{ oomKillDisable: "--oom-kill-disable" }, 2, "--oom-kill-disable: cgroup v2"],
    [weight("/dev/sda:9"), 2, '--blkio-weight-device: "/dev/sda:9" is not a device and its weight'],
    [weight("sda:10"), 2, "use /dev/sda:500"],
  ])("refuses %j on cgroup v%d", (flags, version, message) => {
    expect(() => rareResources(flags, facts(version), {})).toThrow(message)
  })
})
