/** Limits: options → linux.resources. */
import {
  type DeviceRate,
  parseBlkioWeight,
  parseCpu,
  parseCpuShares,
  parseCpuset,
  parseCpus,
  parseCpuWeight,
  parseDeviceRate,
  parseIoWeight,
  parsePids,
  resolveMemory,
} from "../../cgroup/units.ts"
import { ioToBlkioWeight, weightToShares } from "../../cgroup/weights.ts"
import { stat } from "../../../ffi/fs.ts"
import { S_IFBLK, S_IFMT } from "../../../ffi/constants/stat.ts"
import { UsageError } from "../../errors.ts"
import type { LinuxBlockIO, LinuxCPU, LinuxMemory, LinuxResources, LinuxThrottleDevice } from "../../oci/resources.ts"
import { DEFAULT_PIDS } from "../../spec/defaults.ts"
import type { ParsedArgv } from "../argv.ts"

/** The resources, and for messages the option behind each field. */
export interface ResourceOptions {
  resources: LinuxResources
  options: Record<string, string>
  defaults: string[]
}

function only(argv: ParsedArgv, names: readonly string[]): { name: string; option: string; text: string } | undefined {
  const given = names.filter((name) => argv.strings.has(name))
  if (given.length > 1) {
    throw new UsageError(`${given.map((name) => argv.typed.get(name)).join(" and ")} say the same thing: give one of them`)
  }
  const [name] = given
  return name === undefined ? undefined : { name, option: argv.typed.get(name) ?? name, text: argv.strings.get(name) ?? "" }
}

function cpu(argv: ParsedArgv, options: Record<string, string>): LinuxCPU {
  const result: { -readonly [K in keyof LinuxCPU]: LinuxCPU[K] } = {}
  const time = only(argv, ["cpu", "cpus", "cpu-quota"])
  if (time) {
    if (time.name === "cpu-quota") {
      const period = argv.strings.get("cpu-period")
      result.quota = microseconds(time.option, time.text, 1_000_000_000)
      result.period = period === undefined ? 100_000 : microseconds("--cpu-period", period, 1_000_000)
    } else {
      const { quota, period } = time.name === "cpu" ? parseCpu(time.option, time.text) : parseCpus(time.option, time.text)
      result.quota = quota
      result.period = period
    }
    options["cpu.quota"] = options["cpu.period"] = time.option
  } else if (argv.strings.has("cpu-period")) {
    throw new UsageError("--cpu-period needs --cpu-quota beside it")
  }
  const share = only(argv, ["cpu-shares", "cpu-weight"])
  if (share) {
    result.shares =
      share.name === "cpu-shares" ? parseCpuShares(share.option, share.text) : weightToShares(parseCpuWeight(share.option, share.text))
    options["cpu.shares"] = share.option
  }
  const cpus = only(argv, ["cpuset"])
  if (cpus) {
    result.cpus = parseCpuset(cpus.option, cpus.text)
    options["cpu.cpus"] = cpus.option
  }
  const mems = only(argv, ["cpuset-mems"])
  if (mems) {
    result.mems = parseCpuset(mems.option, mems.text)
    options["cpu.mems"] = mems.option
  }
  return result
}

function microseconds(option: string, text: string, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= 1000 && value <= most)) {
    throw new UsageError(`${option}: "${text}" is not a time in microseconds (use 1000 to ${most})`)
  }
  return value
}

function memory(argv: ParsedArgv, options: Record<string, string>): LinuxMemory | null {
  const pick = (name: string, field: string) => {
    const text = argv.strings.get(name)
    if (text === undefined) return {}
    const option = argv.typed.get(name) ?? name
    options[field] = option
    return { [name === "mem" ? "memory" : name === "memory-swap" ? "memorySwap" : name === "swap" ? "swap" : "reservation"]: { option, text } }
  }
  return resolveMemory({
    ...pick("mem", "memory.limit"),
    ...pick("memory-reservation", "memory.reservation"),
    ...pick("memory-swap", "memory.swap"),
    ...pick("swap", "memory.swap"),
  })
}

function throttle(option: string, { path, rate }: DeviceRate): LinuxThrottleDevice {
  const found = stat(path)
  if (!found) throw new UsageError(`${option}: there is no device ${path}`)
  if ((found.mode & S_IFMT) !== S_IFBLK) throw new UsageError(`${option}: ${path} is not a block device`)
  return { major: found.rdevMajor, minor: found.rdevMinor, rate }
}

const THROTTLES = [
  ["device-read-bps", "throttleReadBpsDevice", "bps"],
  ["device-write-bps", "throttleWriteBpsDevice", "bps"],
  ["device-read-iops", "throttleReadIOPSDevice", "iops"],
  ["device-write-iops", "throttleWriteIOPSDevice", "iops"],
] as const

function blockIO(argv: ParsedArgv, options: Record<string, string>): LinuxBlockIO {
  const result: { -readonly [K in keyof LinuxBlockIO]: LinuxBlockIO[K] } = {}
  const weight = only(argv, ["io-weight", "blkio-weight"])
  if (weight) {
    result.weight =
      weight.name === "io-weight" ? ioToBlkioWeight(parseIoWeight(weight.option, weight.text)) : parseBlkioWeight(weight.option, weight.text)
    options["blockIO.weight"] = weight.option
  }
  for (const [name, field, kind] of THROTTLES) {
    const option = `--${name}`
    const values = argv.lists.get(name)?.map((text) => throttle(option, parseDeviceRate(option, text, kind)))
    if (!values) continue
    result[field] = values
    options[`blockIO.${field}`] = option
  }
  return result
}

/** Reads every limit. Throws UsageError. */
export function resourceOptions(argv: ParsedArgv): ResourceOptions {
  const options: Record<string, string> = {}
  const defaults: string[] = []
  const cpuResources = cpu(argv, options)
  const memoryResources = memory(argv, options)
  const blockResources = blockIO(argv, options)
  const pids = argv.strings.get("pids")
  if (pids === undefined) defaults.push("pids.limit")
  else options["pids.limit"] = argv.typed.get("pids") ?? "--pids"
  if (memoryResources && !argv.strings.has("swap") && !argv.strings.has("memory-swap")) defaults.push("memory.swap")
  options["devices"] = "the device rules"
  return {
    resources: {
      ...(Object.keys(cpuResources).length > 0 ? { cpu: cpuResources } : {}),
      ...(memoryResources ? { memory: memoryResources } : {}),
      ...(Object.keys(blockResources).length > 0 ? { blockIO: blockResources } : {}),
      pids: { limit: pids === undefined ? DEFAULT_PIDS : parsePids(options["pids.limit"] ?? "--pids", pids) },
    },
    options,
    defaults,
  }
}
