/** --log-driver and --log-opt: docker's names for what is kept of a detached container's output. */
import { DEFAULT_LOG } from "../../container/log-files.ts"
import type { LogLimits } from "../../container/log-limits.ts"
import { UsageError } from "../../errors.ts"
import type { ParsedArgv } from "../argv.ts"

/** What keeps output in files of the container's, rotated; there is one format of them. */
const FILES = ["k8s-file", "json-file", "local"]
const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1000, m: 1000 ** 2, g: 1000 ** 3 }
const MOST_FILES = 1000

function maxSize(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,12})([kmg]?)b?$/i.exec(text) ?? []
  const size = Number(digits) * (UNITS[unit.toLowerCase()] ?? 0)
  if (digits === undefined || size === 0)
    throw new UsageError(`--log-opt max-size: "${text}" is no size (use a number of bytes, or 10k, 10m, 1g)`)
  return size
}

function maxFiles(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > MOST_FILES)
    throw new UsageError(`--log-opt max-file: "${text}" is no number of files (1 to ${MOST_FILES})`)
  return count
}

/** Bytes (docker counts in thousands) and files; null where nothing is to be kept. Throws UsageError. */
export function logLimits({ strings, lists }: ParsedArgv): LogLimits | null {
  const driver = strings.get("log-driver") ?? "k8s-file"
  if (driver !== "none" && !FILES.includes(driver))
    throw new UsageError(`--log-driver: "${driver}" is not known (use ${FILES.join(", ")} or none)`)
  const limits = { ...DEFAULT_LOG }
  for (const option of lists.get("log-opt") ?? []) {
    const [name = "", value = ""] = option.split(/=(.*)/s, 2)
    if (name === "max-size") limits.maxSize = maxSize(value)
    else if (name === "max-file") limits.maxFiles = maxFiles(value)
    else throw new UsageError(`--log-opt: "${option}" is not known (use max-size=SIZE, max-file=N)`)
  }
  if (driver === "none" && lists.has("log-opt")) throw new UsageError("--log-opt does not go with --log-driver none")
  return driver === "none" ? null : limits
}
