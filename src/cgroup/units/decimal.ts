import { UsageError } from "../../errors.ts"

/** What an option's value failed on, in one form for all of them: the option, the text, what it should have been. */
export function badValue(option: string, text: string, expected: string): UsageError {
  return new UsageError(`${option}: ${JSON.stringify(text)} is not ${expected}`)
}

/** A non-negative decimal as an exact fraction: `1.5` is 15 / 10. */
export interface Decimal {
  readonly numerator: bigint
  readonly denominator: bigint
}

// Twenty digits hold every 64-bit number; more are a slip, and would only make BigInt work hard.
const DECIMAL = /^([0-9]{1,20})(?:\.([0-9]{1,20}))?$/

/**
 * Reads `12` or `12.5`: ASCII digits only. Sign, exponent, hexadecimal, blank and a bare point give null.
 * Exact (no floating point), so that `0.29` is not `0.28999…`.
 */
export function parseDecimal(text: string): Decimal | null {
  const match = DECIMAL.exec(text)
  if (!match) return null
  const fraction = match[2] ?? ""
  return { numerator: BigInt((match[1] ?? "") + fraction), denominator: 10n ** BigInt(fraction.length) }
}

/** The whole part of `decimal * factor`, or null where a JavaScript number cannot hold it exactly (2^53). */
export function scaleDown(decimal: Decimal, factor: bigint): number | null {
  const value = (decimal.numerator * factor) / decimal.denominator
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null
}

/** Reads a whole number within `min..max`, both included; null for anything else. */
export function parseWhole(text: string, min: number, max: number): number | null {
  if (!/^[0-9]{1,16}$/.test(text)) return null
  const value = Number(text)
  return value >= min && value <= max ? value : null
}
