import { badValue, type Decimal, parseDecimal, parseWhole, scaleDown } from "./decimal.ts"

/** `cpu.quota` and `cpu.period` of the OCI runtime specification, in microseconds. */
export interface CpuQuota {
  readonly quota: number
  readonly period: number
}

/** The kernel's default of `cpu.cfs_period_us`, µs. */
export const PERIOD = 100_000
/** The kernel's default of `cpu.rt_period_us`, µs. */
export const REALTIME_PERIOD = 1_000_000
// kernel/sched/core.c: periods of 1 ms to 1 s, and no quota below 1 ms.
const LONGEST_PERIOD = 1_000_000
const SHORTEST_QUOTA = 1_000
// The largest NR_CPUS that a Linux kernel can be built with.
const MOST_CPUS = 8192

function toQuota(option: string, text: string, amount: Decimal, forms: string): CpuQuota {
  if (amount.numerator === 0n) throw badValue(option, text, `an amount above zero; leave ${option} out for no limit`)
  for (const period of [PERIOD, LONGEST_PERIOD]) {
    const quota = scaleDown(amount, BigInt(period))
    if (quota === null || quota > MOST_CPUS * period) {
      throw badValue(option, text, `a number of CPUs Linux can have: at most ${MOST_CPUS} (${forms})`)
    }
    if (quota >= SHORTEST_QUOTA) return { quota, period }
  }
  throw badValue(option, text, `an amount the kernel can limit to: at least 0.1% of a CPU (${forms})`)
}

/**
 * `--cpu`: `10%` of one CPU, `100m` thousandths of a CPU, `0.1` or `2` CPUs. The period is 100 ms, and 1 s where the quota
 * would fall below the kernel's least of 1 ms. Throws UsageError.
 */
export function parseCpu(option: string, text: string): CpuQuota {
  const forms = "use 10%, 100m, 0.1 or 2"
  const unit = text.endsWith("%") ? 100n : text.endsWith("m") ? 1000n : 1n
  const amount = parseDecimal(unit === 1n ? text : text.slice(0, -1))
  if (!amount) throw badValue(option, text, `a CPU amount (${forms})`)
  return toQuota(option, text, { ...amount, denominator: amount.denominator * unit }, forms)
}

/** `--cpus`, docker's: a number of CPUs such as `0.5` or `2`. Throws UsageError. */
export function parseCpus(option: string, text: string): CpuQuota {
  const forms = "use 0.5, 1 or 2.5"
  const amount = parseDecimal(text)
  if (!amount) throw badValue(option, text, `a number of CPUs (${forms})`)
  return toQuota(option, text, amount, forms)
}

/** `--cpu-shares`: 2..262144, the range of cgroup v1 `cpu.shares`. Throws UsageError. */
export function parseCpuShares(option: string, text: string): number {
  const shares = parseWhole(text, 2, 262_144)
  if (shares === null) throw badValue(option, text, "a CPU share (use 2 to 262144; 1024 is the default)")
  return shares
}

/** `--cpu-weight`: 1..10000, the range of cgroup v2 `cpu.weight`. Throws UsageError. */
export function parseCpuWeight(option: string, text: string): number {
  const weight = parseWhole(text, 1, 10_000)
  if (weight === null) throw badValue(option, text, "a CPU weight (use 1 to 10000; 100 is the default)")
  return weight
}

/** `--cpu-quota`, docker's: microseconds in a period, at least 1000; -1, for 0 and -1, is none. Throws UsageError. */
export function parseCpuQuota(option: string, text: string): number {
  if (text === "0" || text === "-1") return -1
  const quota = parseWhole(text, SHORTEST_QUOTA, MOST_CPUS * LONGEST_PERIOD)
  if (quota === null) throw badValue(option, text, "a quota in microseconds (use 1000 or more, or -1 for no limit)")
  return quota
}

/** `--cpu-period`, docker's: 1000..1000000 microseconds; 0 is the usual. Throws UsageError. */
export function parseCpuPeriod(option: string, text: string): number {
  if (text === "0") return PERIOD
  const period = parseWhole(text, SHORTEST_QUOTA, LONGEST_PERIOD)
  if (period === null) throw badValue(option, text, "a period in microseconds (use 1000 to 1000000)")
  return period
}

/** `--cpu-rt-period` and `--cpu-rt-runtime`, docker's, of cgroup v1: 1..1000000 microseconds. Throws UsageError. */
export function parseRealtime(option: string, text: string): number {
  const time = parseWhole(text, 1, LONGEST_PERIOD)
  if (time === null) throw badValue(option, text, "a time in microseconds (use 1 to 1000000)")
  return time
}
