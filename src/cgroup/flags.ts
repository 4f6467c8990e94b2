import { UsageError } from "../errors.ts"
import type { LinuxBlockIO, LinuxCPU, LinuxResources, LinuxThrottleDevice } from "../oci/resources.ts"
import {
  parseBlkioWeight,
  parseCpu,
  parseCpuShares,
  parseCpus,
  parseCpuset,
  parseCpuWeight,
  parseDeviceRate,
  parseIoWeight,
  parsePids,
  resolveMemory,
} from "./units.ts"
import { ioToBfqWeight, weightToShares } from "./weights.ts"

/** An option as typed: `{ option: "--mem", text: "500M" }`. */
export interface Flag {
  readonly option: string
  readonly text: string
}

/** The resource options of `run`, `create` and `update`; the key says what is meant, `option` how it was spelled. */
export interface ResourceFlags {
  readonly cpu?: Flag
  readonly cpus?: Flag
  readonly cpuShares?: Flag
  readonly cpuWeight?: Flag
  readonly cpusetCpus?: Flag
  readonly cpusetMems?: Flag
  readonly memory?: Flag
  readonly swap?: Flag
  readonly memorySwap?: Flag
  readonly memoryReservation?: Flag
  readonly pids?: Flag
  readonly ioWeight?: Flag
  readonly blkioWeight?: Flag
  readonly deviceReadBps?: readonly Flag[]
  readonly deviceWriteBps?: readonly Flag[]
  readonly deviceReadIops?: readonly Flag[]
  readonly deviceWriteIops?: readonly Flag[]
}

export interface DeviceNumbers {
  readonly major: number
  readonly minor: number
}

/** What the machine has to say; asked only where an option needs it. */
export interface FlagFacts {
  readonly version: 1 | 2
  /** Text of /sys/devices/system/cpu/online. */
  readonly onlineCpus: () => string
  /** Text of /sys/devices/system/node/online; null where the kernel has no such file. */
  readonly onlineNodes: () => string | null
  /** Numbers of the block device at `path`, of which `text` says something. Throws UsageError where it is none. */
  readonly blockDevice: (option: string, text: string, path: string) => DeviceNumbers
}

/** The parts of a CgroupRequest that options decide. */
export interface RequestedResources {
  readonly resources: LinuxResources
  readonly options: Readonly<Record<string, string>>
  readonly defaults: readonly string[]
}

/** The pids limit of a container that asked for none. */
export const DEFAULT_PIDS = 4096

function exclusive(first: Flag | undefined, second: Flag | undefined): void {
  if (first && second) throw new UsageError(`${first.option} and ${second.option} exclude each other`)
}

function cpuOf(flags: ResourceFlags, facts: FlagFacts, options: Record<string, string>): LinuxCPU {
  const { cpu, cpus, cpuShares, cpuWeight, cpusetCpus, cpusetMems } = flags
  exclusive(cpu, cpus)
  exclusive(cpuShares, cpuWeight)
  const note = (field: string, { option }: Flag) => {
    options[`cpu.${field}`] = option
  }
  const amount = cpu ?? cpus
  if (amount) {
    note("quota", amount)
    note("period", amount)
  }
  const weight = cpuShares ?? cpuWeight
  if (weight) note("shares", weight)
  if (cpusetCpus) note("cpus", cpusetCpus)
  if (cpusetMems) note("mems", cpusetMems)
  return {
    ...(cpu && parseCpu(cpu.option, cpu.text)),
    ...(cpus && parseCpus(cpus.option, cpus.text)),
    ...(cpuShares && { shares: parseCpuShares(cpuShares.option, cpuShares.text) }),
    ...(cpuWeight && { shares: weightToShares(parseCpuWeight(cpuWeight.option, cpuWeight.text)) }),
    ...(cpusetCpus && { cpus: parseCpuset(cpusetCpus.option, cpusetCpus.text, facts.onlineCpus()) }),
    ...(cpusetMems && { mems: parseCpuset(cpusetMems.option, cpusetMems.text, facts.onlineNodes()) }),
  }
}

const RATES = [
  ["deviceReadBps", "throttleReadBpsDevice", "bps"],
  ["deviceWriteBps", "throttleWriteBpsDevice", "bps"],
  ["deviceReadIops", "throttleReadIOPSDevice", "iops"],
  ["deviceWriteIops", "throttleWriteIOPSDevice", "iops"],
] as const

function blockIOOf(flags: ResourceFlags, facts: FlagFacts, options: Record<string, string>): LinuxBlockIO {
  const { ioWeight, blkioWeight } = flags
  exclusive(ioWeight, blkioWeight)
  const throttles: Partial<Record<(typeof RATES)[number][1], LinuxThrottleDevice[]>> = {}
  for (const [flag, field, kind] of RATES) {
    for (const { option, text } of flags[flag] ?? []) {
      const { path, rate } = parseDeviceRate(option, text, kind)
      const list = throttles[field] ?? []
      list.push({ ...facts.blockDevice(option, text, path), rate })
      throttles[field] = list
      options[`blockIO.${field}`] = option
    }
  }
  if (blkioWeight) {
    options["blockIO.weight"] = blkioWeight.option
    return { ...throttles, weight: parseBlkioWeight(blkioWeight.option, blkioWeight.text) }
  }
  if (ioWeight && facts.version === 1) {
    options["blockIO.weight"] = ioWeight.option
    // BFQ is who heeds it there, by default with the same 100; the specification begins at 10.
    const weight = Math.max(10, ioToBfqWeight(parseIoWeight(ioWeight.option, ioWeight.text)))
    return { ...throttles, weight }
  }
  return throttles
}

function unifiedOf({ ioWeight }: ResourceFlags, facts: FlagFacts, options: Record<string, string>) {
  if (!ioWeight || facts.version === 1) return {}
  // blockIO.weight has ten times fewer steps: `--io-weight 100` would arrive as 102.
  options["unified.io.weight"] = ioWeight.option
  return { "io.weight": `default ${parseIoWeight(ioWeight.option, ioWeight.text)}` }
}

function memoryOf(flags: ResourceFlags, options: Record<string, string>) {
  const { memory, swap, memorySwap, memoryReservation } = flags
  if (memory) options["memory.limit"] = memory.option
  const swapping = swap ?? memorySwap
  if (swapping) options["memory.swap"] = swapping.option
  if (memoryReservation) options["memory.reservation"] = memoryReservation.option
  return resolveMemory({
    ...(memory && { memory }),
    ...(swap && { swap }),
    ...(memorySwap && { memorySwap }),
    ...(memoryReservation && { reservation: memoryReservation }),
  })
}

/**
 * `linux.resources` for the options of a new container, with toybox's own defaults: no swap, 4096 processes. Device rules are
 * not part of it. Throws UsageError naming the option, the text and the accepted forms.
 */
export function resourcesFromFlags(flags: ResourceFlags, facts: FlagFacts): RequestedResources {
  const options: Record<string, string> = {}
  const cpu = cpuOf(flags, facts, options)
  const memory = memoryOf(flags, options)
  const blockIO = blockIOOf(flags, facts, options)
  const unified = unifiedOf(flags, facts, options)
  const { pids } = flags
  if (pids) options["pids.limit"] = pids.option
  const filled = (part: object) => Object.keys(part).length > 0
  return {
    resources: {
      ...(filled(cpu) && { cpu }),
      ...(memory && { memory }),
      pids: { limit: pids ? parsePids(pids.option, pids.text) : DEFAULT_PIDS },
      ...(filled(blockIO) && { blockIO }),
      ...(filled(unified) && { unified }),
    },
    options,
    defaults: ["memory.swap", "pids.limit"].filter((field) => options[field] === undefined),
  }
}
