import { badValue, parseWhole } from "./decimal.ts"
import { parseSize } from "./memory.ts"

/** `--pids`: the most processes and threads, or -1 for `-1`, `0` and `max`. Throws UsageError. */
export function parsePids(option: string, text: string): number {
  if (text === "-1" || text === "0" || text === "max") return -1
  // kernel/cgroup/pids.c: PIDS_MAX is PID_MAX_LIMIT + 1 = 2^22 + 1, which it calls "max".
  const limit = parseWhole(text, 1, 4_194_304)
  if (limit === null) throw badValue(option, text, "a number of processes (use 1 to 4194304, or -1 for no limit)")
  return limit
}

/** `--io-weight`: 1..10000, the range of cgroup v2 `io.weight`. Throws UsageError. */
export function parseIoWeight(option: string, text: string): number {
  const weight = parseWhole(text, 1, 10_000)
  if (weight === null) throw badValue(option, text, "an I/O weight (use 1 to 10000; 100 is the default)")
  return weight
}

/** `--blkio-weight`, docker's: 10..1000, `blockIO.weight` of the OCI runtime specification. Throws UsageError. */
export function parseBlkioWeight(option: string, text: string): number {
  const weight = parseWhole(text, 10, 1000)
  if (weight === null) throw badValue(option, text, "a block I/O weight (use 10 to 1000)")
  return weight
}

/** A rate limit on a device; `rate` in bytes (`bps`) or operations (`iops`) per second, 0 is no limit. */
export interface DeviceRate {
  readonly path: string
  readonly rate: number
}

// block/blk-throttle.c keeps operations per second in an unsigned int.
const MOST_IOPS = 2 ** 32 - 1

/** `--device-read-bps` and its relatives: `/dev/sda:1mb`, `/dev/sda:1000`, `/dev/sda:0`. Throws UsageError. */
export function parseDeviceRate(option: string, text: string, kind: "bps" | "iops"): DeviceRate {
  const colon = text.lastIndexOf(":")
  const path = text.slice(0, Math.max(colon, 0))
  const amount = text.slice(colon + 1)
  const rate = kind === "bps" ? parseSize(amount) : parseWhole(amount, 0, MOST_IOPS)
  if (!/^\/[^\0\n]+$/.test(path) || rate === null || (rate < 1 && amount !== "0")) {
    const form = kind === "bps" ? "bytes per second (use /dev/sda:1mb" : "operations per second (use /dev/sda:1000"
    throw badValue(option, text, `a device and its ${form}, or :0 for no limit)`)
  }
  return { path, rate }
}

/** `--blkio-weight-device`, docker's: `/dev/sda:500`. Throws UsageError. */
export function parseDeviceWeight(option: string, text: string): { readonly path: string; readonly weight: number } {
  const colon = text.lastIndexOf(":")
  const path = text.slice(0, Math.max(colon, 0))
  const weight = parseWhole(text.slice(colon + 1), 10, 1000)
  if (!/^\/[^\0\n]+$/.test(path) || weight === null)
    throw badValue(option, text, "a device and its weight, 10 to 1000 (use /dev/sda:500)")
  return { path, weight }
}
