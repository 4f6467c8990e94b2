/** Limits: options → the flags that src/cgroup understands. */

import { S_IFBLK, S_IFMT } from "../../../ffi/constants/stat.ts"
import { readText, stat, tryReadText } from "../../../ffi/fs.ts"
import { type Flag, type RequestedResources, type ResourceFlags, resourcesFromFlags } from "../../cgroup/flags.ts"
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

function deviceNumber(path: string): { major: number; minor: number } | null {
  const found = stat(path)
  if (!found || (found.mode & S_IFMT) !== S_IFBLK) return null
  return { major: found.rdevMajor, minor: found.rdevMinor }
}

/** Reads every limit. Throws UsageError. */
export function resourceOptions(argv: ParsedArgv, version: 1 | 2): RequestedResources {
  const flags: { -readonly [K in keyof ResourceFlags]: ResourceFlags[K] } = {}
  const flag = (name: string, text: string): Flag => ({ option: argv.typed.get(name) ?? `--${name}`, text })
  for (const [name, key] of SINGLE) {
    const text = argv.strings.get(name)
    if (text !== undefined) flags[key] = flag(name, text)
  }
  for (const [name, key] of REPEATED) {
    const texts = argv.lists.get(name)
    if (texts) flags[key] = texts.map((text) => flag(name, text))
  }
  return resourcesFromFlags(flags, {
    version,
    onlineCpus: () => readText("/sys/devices/system/cpu/online"),
    onlineNodes: () => tryReadText("/sys/devices/system/node/online"),
    deviceNumber,
  })
}
