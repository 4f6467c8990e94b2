/** The limits that few ask for: options → `linux.resources`. Apart from flags.ts, which every run reads. */
import { UsageError } from "../errors.ts"
import type { LinuxBlockIO, LinuxCPU, LinuxMemory, LinuxResources } from "../oci/resources.ts"
import type { Flag, FlagFacts, RequestedResources } from "./flags.ts"
import {
  PERIOD,
  parseCpuPeriod,
  parseCpuQuota,
  parseDeviceWeight,
  parseRealtime,
  parseSwappiness,
  REALTIME_PERIOD,
} from "./units.ts"

export interface RareFlags {
  readonly cpuPeriod?: Flag
  readonly cpuQuota?: Flag
  readonly realtimePeriod?: Flag
  readonly realtimeRuntime?: Flag
  readonly swappiness?: Flag
  readonly blkioWeightDevice?: readonly Flag[]
  /** The option as typed. */
  readonly oomKillDisable?: string
  /** Another option for the amount of CPU time, where there is one. */
  readonly cpuAmount?: string
}

type Options = Record<string, string>

/** What the kernel has files for in cgroup v1 only. */
function needsV1(option: string, version: 1 | 2): void {
  if (version === 2)
    throw new UsageError(`${option}: cgroup v2, which this machine has, has no such setting`, { hint: "leave it out" })
}

function quotaOf(flags: RareFlags, had: LinuxCPU, options: Options): LinuxCPU {
  const { cpuPeriod, cpuQuota, cpuAmount } = flags
  const first = cpuQuota ?? cpuPeriod
  if (!first) return {}
  if (cpuAmount) throw new UsageError(`${cpuAmount} and ${first.option} exclude each other`)
  const period = cpuPeriod ? parseCpuPeriod(cpuPeriod.option, cpuPeriod.text) : (had.period ?? PERIOD)
  const quota = cpuQuota ? parseCpuQuota(cpuQuota.option, cpuQuota.text) : (had.quota ?? -1)
  options["cpu.quota"] = first.option
  options["cpu.period"] = (cpuPeriod ?? first).option
  return { quota, period }
}

function realtimeOf(flags: RareFlags, had: LinuxCPU, version: 1 | 2, options: Options): LinuxCPU {
  const { realtimePeriod, realtimeRuntime } = flags
  const found: { realtimePeriod?: number; realtimeRuntime?: number } = {}
  for (const [field, flag] of Object.entries({ realtimePeriod, realtimeRuntime })) {
    if (!flag) continue
    needsV1(flag.option, version)
    found[field as keyof typeof found] = parseRealtime(flag.option, flag.text)
    options[`cpu.${field}`] = flag.option
  }
  const period = found.realtimePeriod ?? had.realtimePeriod ?? REALTIME_PERIOD
  const runtime = found.realtimeRuntime ?? had.realtimeRuntime ?? 0
  const last = realtimeRuntime ?? realtimePeriod
  if (last && runtime > period)
    throw new UsageError(`${last.option}: ${runtime} µs of realtime do not fit in a period of ${period} µs`)
  return found
}

function memoryOf({ swappiness, oomKillDisable }: RareFlags, version: 1 | 2, options: Options): LinuxMemory {
  if (swappiness) {
    needsV1(swappiness.option, version)
    options["memory.swappiness"] = swappiness.option
  }
  if (oomKillDisable) {
    needsV1(oomKillDisable, version)
    options["memory.disableOOMKiller"] = oomKillDisable
  }
  return {
    ...(swappiness && { swappiness: parseSwappiness(swappiness.option, swappiness.text) }),
    ...(oomKillDisable && { disableOOMKiller: true }),
  }
}

function blockIOOf({ blkioWeightDevice = [] }: RareFlags, facts: FlagFacts, options: Options): LinuxBlockIO {
  const weightDevice = blkioWeightDevice.map(({ option, text }) => {
    const { path, weight } = parseDeviceWeight(option, text)
    options["blockIO.weightDevice"] = option
    return { ...facts.blockDevice(option, text, path), weight }
  })
  return weightDevice.length > 0 ? { weightDevice } : {}
}

/** What they ask for; `had` is what there is already, of a container that is changed. Throws UsageError. */
export function rareResources(flags: RareFlags, facts: FlagFacts, had: LinuxResources): RequestedResources {
  const options: Options = {}
  const cpu = {
    ...quotaOf(flags, had.cpu ?? {}, options),
    ...realtimeOf(flags, had.cpu ?? {}, facts.version, options),
  }
  const memory = memoryOf(flags, facts.version, options)
  const blockIO = blockIOOf(flags, facts, options)
  const groups = Object.entries({ cpu, memory, blockIO }).filter(([, group]) => Object.keys(group).length > 0)
  return { resources: Object.fromEntries(groups), options, defaults: [] }
}
