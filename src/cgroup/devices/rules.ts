import { ToyboxError } from "../../errors.ts"
import type { LinuxDeviceCgroup } from "../../oci/resources.ts"

/** Bits of a device access: linux/bpf.h BPF_DEVCG_ACC_*. */
export const ACCESS = { m: 1, r: 2, w: 4 } as const
export const ALL_ACCESS = 7

/** A checked rule. `type` null is any, as are `major` and `minor`. */
export interface DeviceRule {
  readonly allow: boolean
  readonly type: "b" | "c" | null
  readonly major: number | null
  readonly minor: number | null
  /** Bits of ACCESS. */
  readonly access: number
}

// linux/kdev_t.h: 12 bits of major, 20 of minor. Nothing can have a number beyond, so a rule for it is a mistake.
const HIGHEST_MAJOR = 2 ** 12 - 1
const HIGHEST_MINOR = 2 ** 20 - 1

function number(where: string, name: string, value: number | undefined, highest: number): number | null {
  if (value === undefined || value === -1) return null
  if (Number.isInteger(value) && value >= 0 && value <= highest) return value
  throw new ToyboxError(`${where}.${name}: ${value} is not a device number (0 to ${highest}, or -1 for any)`)
}

function accessBits(where: string, letters: string): number {
  let bits = 0
  for (const letter of letters) {
    if (letter !== "r" && letter !== "w" && letter !== "m") {
      throw new ToyboxError(`${where}.access: ${JSON.stringify(letters)} is not made of the letters r, w and m`)
    }
    bits |= ACCESS[letter]
  }
  return bits || ALL_ACCESS
}

/** Checks `linux.resources.devices`. Throws ToyboxError naming the field. */
export function checkedRules(rules: readonly LinuxDeviceCgroup[]): DeviceRule[] {
  return rules.map(({ allow, type = "a", major, minor, access = "rwm" }, index) => {
    const where = `linux.resources.devices[${index}]`
    if (type !== "a" && type !== "b" && type !== "c") {
      throw new ToyboxError(`${where}.type: ${JSON.stringify(type)} is not a, b or c`)
    }
    return {
      allow,
      type: type === "a" ? null : type,
      major: number(where, "major", major, HIGHEST_MAJOR),
      minor: number(where, "minor", minor, HIGHEST_MINOR),
      access: accessBits(where, access),
    }
  })
}

/** Whether every device and access of `inner` is one of `outer`'s devices; access is not looked at. */
export function covers(outer: DeviceRule, inner: DeviceRule): boolean {
  return (
    (outer.type === null || outer.type === inner.type) &&
    (outer.major === null || outer.major === inner.major) &&
    (outer.minor === null || outer.minor === inner.minor)
  )
}

/** Whether some device is matched by both. */
export function overlaps(a: DeviceRule, b: DeviceRule): boolean {
  return (
    (a.type === null || b.type === null || a.type === b.type) &&
    (a.major === null || b.major === null || a.major === b.major) &&
    (a.minor === null || b.minor === null || a.minor === b.minor)
  )
}

/** A rule that decides about every device and access. */
export function isTotal({ type, major, minor, access }: DeviceRule): boolean {
  return type === null && major === null && minor === null && access === ALL_ACCESS
}

/** Bits as letters: 6 is `rw`. */
export function accessLetters(bits: number): string {
  return `${bits & ACCESS.r ? "r" : ""}${bits & ACCESS.w ? "w" : ""}${bits & ACCESS.m ? "m" : ""}`
}
