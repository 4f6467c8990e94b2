/** What a command line says of registries and platforms. */
import { UsageError } from "../../errors.ts"
import { hostPlatform, type Platform, parsePlatform } from "../../image/platform.ts"
import type { ParsedArgv } from "../argv.ts"

/** Whether a registry need not show who it is; undefined where nothing is said of it. Throws UsageError. */
export function isInsecure({ booleans }: ParsedArgv): boolean | undefined {
  const [insecure, verified] = [booleans.get("insecure"), booleans.get("tls-verify")]
  if (insecure !== undefined && verified === insecure)
    throw new UsageError(`--insecure=${insecure} and --tls-verify=${verified} contradict each other`)
  return insecure ?? (verified === undefined ? undefined : !verified)
}

const PARTS = ["arch", "variant", "os"] as const

/** --platform, or --arch, --variant and --os; null where none is given. Throws UsageError. */
export function platformOption({ strings }: ParsedArgv): Platform | null {
  const platform = strings.get("platform")
  const given = PARTS.filter((name) => strings.has(name))
  const [first] = given
  if (first === undefined) return platform === undefined ? null : parsePlatform(platform)
  if (platform !== undefined) throw new UsageError(`--platform and --${first} exclude each other`)
  const bad = given.find((name) => !/^[A-Za-z0-9_.-]+$/.test(strings.get(name) ?? ""))
  if (bad) throw new UsageError(`--${bad}: "${strings.get(bad)}" is no part of a platform such as linux/arm64/v8`)
  const os = strings.get("os") ?? "linux"
  if (os.toLowerCase() !== "linux") throw new UsageError(`--os: ${os}: only images of Linux run here`)
  const variant = strings.get("variant")
  return parsePlatform(
    [os, strings.get("arch") ?? hostPlatform().architecture, ...(variant ? [variant] : [])].join("/"),
  )
}
