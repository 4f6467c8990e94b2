/** What a volume is, where it is no directory of its own: docker's local driver, `-o type=…,device=…,o=…`. */
import { UsageError } from "../errors.ts"

/** As mount(8) has them. */
export interface DriverOptions {
  type: string
  device: string
  /** With commas. */
  o?: string
}

const KEYS = ["type", "device", "o"]

/** Reads KEY=VALUE texts; null where there are none. Throws UsageError. */
export function driverOptions(texts: readonly string[]): DriverOptions | null {
  if (texts.length === 0) return null
  const given = new Map<string, string>()
  for (const text of texts) {
    const [key = "", ...value] = text.split("=")
    if (!KEYS.includes(key) || value.length === 0)
      throw new UsageError(`--opt: "${text}" is not understood (use type=…, device=… and o=…)`)
    given.set(key, value.join("="))
  }
  const [type, device, o] = KEYS.map((key) => given.get(key))
  if (!type || !device)
    throw new UsageError(`--opt: ${type ? "device" : "type"}=… is missing`, {
      hint: "-o type=none -o device=/srv/data -o o=bind, or -o type=tmpfs -o device=tmpfs -o o=size=100m",
    })
  const options = { type, device, ...(o === undefined ? {} : { o }) }
  if (isBind(options) && !device.startsWith("/"))
    throw new UsageError(`--opt: device=${device} is no absolute path, which o=bind needs`)
  return options
}

const words = ({ o = "" }: DriverOptions): string[] => o.split(",")

/** Nobody may write to it. */
export const isReadOnly = (options: DriverOptions): boolean => words(options).includes("ro")

/** It is a directory of the host, which its own leads to. */
export const isBind = (options: DriverOptions): boolean => words(options).some((word) => /^r?bind$/.test(word))
