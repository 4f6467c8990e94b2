/** Limits: options → the flags that src/cgroup understands. */

import { S_IFBLK, S_IFMT } from "../../../ffi/constants/stat.ts"
import { readText, stat, tryReadText } from "../../../ffi/fs.ts"
import {
  type DeviceNumbers,
  type Flag,
  type FlagFacts,
  type RequestedResources,
  type ResourceFlags,
  resourcesFromFlags,
} from "../../cgroup/flags.ts"
import { UsageError } from "../../errors.ts"
import type { ParsedArgv } from "../argv.ts"

const SINGLE = [
  ["cpu", "cpu"],
  ["cpus", "cpus"],
  ["cpu-shares", "cpuShares"],
  ["cpu-weight", "cpuWeight"],
  ["cpuset", "cpusetCpus"],
  ["cpuset-mems", "cpusetMems"],
  ["mem", "memory"],
  ["memory-reservation", "memoryReservation"],
  ["swap", "swap"],
  ["memory-swap", "memorySwap"],
  ["pids", "pids"],
  ["io-weight", "ioWeight"],
  ["blkio-weight", "blkioWeight"],
] as const

const REPEATED = [
  ["device-read-bps", "deviceReadBps"],
  ["device-write-bps", "deviceWriteBps"],
  ["device-read-iops", "deviceReadIops"],
  ["device-write-iops", "deviceWriteIops"],
] as const

function blockDevice(option: string, text: string, path: string): DeviceNumbers {
  const found = stat(path)
  if (!found || (found.mode & S_IFMT) !== S_IFBLK)
    throw new UsageError(`${option}: "${text}": ${path} is not a block device of this machine`)
  return { major: found.rdevMajor, minor: found.rdevMinor }
}

/** What options ask of this machine. */
export const flagFacts = (version: 1 | 2): FlagFacts => ({
  version,
  onlineCpus: () => readText("/sys/devices/system/cpu/online"),
  onlineNodes: () => tryReadText("/sys/devices/system/node/online"),
  blockDevice,
})

/** An option as it was typed. */
export const flagOf = ({ typed }: ParsedArgv, name: string, text: string): Flag => ({
  option: typed.get(name) ?? `--${name}`,
  text,
})

/** Reads the usual limits; rare-limits.ts has the others. Throws UsageError. */
export function resourceOptions(argv: ParsedArgv, version: 1 | 2): RequestedResources {
  const flags: { -readonly [K in keyof ResourceFlags]: ResourceFlags[K] } = {}
  for (const [name, key] of SINGLE) {
    const text = argv.strings.get(name)
    if (text !== undefined) flags[key] = flagOf(argv, name, text)
  }
  for (const [name, key] of REPEATED) {
    const texts = argv.lists.get(name)
    if (texts) flags[key] = texts.map((text) => flagOf(argv, name, text))
  }
  return resourcesFromFlags(flags, flagFacts(version))
}
