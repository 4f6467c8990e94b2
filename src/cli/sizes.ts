/** Sizes as docker writes them: go-units. */

const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB"]
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

function size(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes
  let unit = 0
  for (; value >= base && unit < units.length - 1; unit++) value /= base
  return `${Number(value.toPrecision(digits))}${units[unit]}`
}

/** 1.05kB. */
export const decimalSize = (bytes: number): string => size(bytes, 1000, DECIMAL, 3)

/** 23.6GiB. */
export const binarySize = (bytes: number): string => size(bytes, 1024, BINARY, 4)
