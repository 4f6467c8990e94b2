import { ToyboxError } from "../../errors.ts"
import { badValue, parseWhole } from "./decimal.ts"

// NR_CPUS and MAX_NUMNODES end below this; it also keeps `0-4294967295` from being expanded.
const HIGHEST = 8191

/** Numbers of a list in the format of cpuset(7), `0-3,5`, ascending and without repeats; null if it is not one. */
export function parseList(text: string): number[] | null {
  const numbers = new Set<number>()
  for (const item of text.split(",")) {
    const [first, last, more] = item.split("-")
    const low = parseWhole(first ?? "", 0, HIGHEST)
    const high = last === undefined ? low : parseWhole(last, 0, HIGHEST)
    if (low === null || high === null || more !== undefined || low > high) return null
    for (let number = low; number <= high; number++) numbers.add(number)
  }
  return [...numbers].sort((a, b) => a - b)
}

/** The shortest cpuset(7) list of the numbers, which must ascend: `[0, 1, 2, 5]` is `0-2,5`. */
export function formatList(numbers: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const number of numbers) {
    const last = ranges.at(-1)
    if (last && number === last[1] + 1) last[1] = number
    else ranges.push([number, number])
  }
  return ranges.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`)).join(",")
}

/**
 * `--cpuset` and `--cpuset-mems`: a list such as `0-3,5`, given back in its shortest form.
 * `online` is the text of `/sys/devices/system/cpu/online` (or `node/online`): a number outside of it is refused here,
 * where it can be named, rather than with the kernel's EINVAL. Throws UsageError.
 */
export function parseCpuset(option: string, text: string, online: string | null = null): string {
  const what = option.endsWith("mems") ? "memory node" : "CPU"
  const numbers = parseList(text)
  if (!numbers) throw badValue(option, text, `a ${what} list (use 0, 0-3 or 0-3,5)`)
  if (online !== null) {
    const present = parseList(online.trim())
    if (!present) throw new ToyboxError(`the kernel's list of online ${what}s is unreadable: ${JSON.stringify(online)}`)
    const absent = numbers.filter((number) => !present.includes(number))
    if (absent.length > 0) {
      const missing = `${what} ${formatList(absent)} is not online`
      throw badValue(option, text, `possible here: ${missing} (this machine has ${formatList(present)})`)
    }
  }
  return formatList(numbers)
}
