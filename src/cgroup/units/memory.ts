import { UsageError } from "../../errors.ts"
import type { LinuxMemory } from "../../oci/resources.ts"
import { badValue, parseDecimal, parseWhole, scaleDown } from "./decimal.ts"

const FORMS = "use 500M, 1g, 512MiB or a number of bytes"
const SIZE = /^([0-9.]+)(?:([kmgt])(?:i?b)?|b)?$/i
const UNITS: Readonly<Record<string, bigint>> = { k: 1n << 10n, m: 1n << 20n, g: 1n << 30n, t: 1n << 40n }

/**
 * The least `--mem`: docker's 6 MiB. Below it the copied pages of the starting child can already be too much, and the
 * user would see an unexplained OOM kill instead of this error.
 */
export const LEAST_MEMORY = 6 << 20

/**
 * A size in bytes as docker reads it: `k`, `m`, `g`, `t` are powers of 1024 in either case, `MB` and `MiB` mean the same
 * as `M`, fractions are allowed and rounded down. Null if it is no such size or beyond 2^53.
 */
export function parseSize(text: string): number | null {
  const match = SIZE.exec(text)
  const amount = match && parseDecimal(match[1] ?? "")
  if (!amount) return null
  return scaleDown(amount, UNITS[(match[2] ?? "").toLowerCase()] ?? 1n)
}

/** `--mem`, `--memory`, `--memory-reservation`: bytes, at least 6 MiB. Throws UsageError. */
export function parseMemory(option: string, text: string): number {
  const bytes = parseSize(text)
  if (bytes === null) throw badValue(option, text, `a memory size (${FORMS})`)
  if (bytes < LEAST_MEMORY) throw badValue(option, text, `enough to start in: at least 6M (${FORMS})`)
  return bytes
}

/** What the memory options say; texts as the user typed them. */
export interface MemoryOptions {
  readonly memory?: { readonly option: string; readonly text: string }
  /** `--swap`: swap on top of the memory; 0 is none, -1 or `max` unlimited. */
  readonly swap?: { readonly option: string; readonly text: string }
  /** `--memory-swap`, docker's: memory and swap together; -1 unlimited. */
  readonly memorySwap?: { readonly option: string; readonly text: string }
  readonly reservation?: { readonly option: string; readonly text: string }
}

function swapTotal({ swap, memorySwap }: MemoryOptions, limit: number | undefined): number | undefined {
  if (swap && memorySwap) throw new UsageError(`${swap.option} and ${memorySwap.option} exclude each other`)
  const asked = swap ?? memorySwap
  if (!asked) return limit
  if (limit === undefined) throw new UsageError(`${asked.option} needs a memory limit beside it (--mem)`)
  if (asked.text === "-1" || (swap && asked.text === "max")) return -1
  const bytes = parseSize(asked.text)
  const expected = swap
    ? `a swap size (${FORMS}, 0, or -1 for unlimited)`
    : `a memory size (${FORMS}, or -1 for unlimited)`
  if (bytes === null) throw badValue(asked.option, asked.text, expected)
  const total = swap ? limit + bytes : bytes
  if (total < limit) {
    const least = `memory and swap together, at least the memory limit of ${limit} bytes`
    throw badValue(asked.option, asked.text, `${least} (--swap takes the swap alone)`)
  }
  if (!Number.isSafeInteger(total)) throw badValue(asked.option, asked.text, expected)
  return total
}

/**
 * `linux.resources.memory` for the options: without a swap option the container gets none (`swap` equals `limit`).
 * Null when no memory option was given. Throws UsageError.
 */
export function resolveMemory(options: MemoryOptions): LinuxMemory | null {
  const limit = options.memory && parseMemory(options.memory.option, options.memory.text)
  const swap = swapTotal(options, limit)
  const reservation = options.reservation && parseMemory(options.reservation.option, options.reservation.text)
  if (options.reservation && reservation !== undefined && limit !== undefined && reservation > limit) {
    throw badValue(options.reservation.option, options.reservation.text, `at most the memory limit of ${limit} bytes`)
  }
  if (limit === undefined && reservation === undefined) return null
  return {
    ...(limit !== undefined && { limit }),
    ...(swap !== undefined && { swap }),
    ...(reservation !== undefined && { reservation }),
  }
}

/** `--memory-swappiness`, docker's, of cgroup v1: 0..100. Throws UsageError. */
export function parseSwappiness(option: string, text: string): number {
  const swappiness = parseWhole(text, 0, 100)
  if (swappiness === null) throw badValue(option, text, "a swappiness (use 0 to 100)")
  return swappiness
}
