/** Environment, limits of the process, signal names. */

import { RLIMIT_NAMES } from "../../../ffi/constants/resource.ts"
import * as signals from "../../../ffi/constants/signal.ts"
import { SyscallError } from "../../../ffi/errno.ts"
import { readText } from "../../../ffi/fs.ts"
import { UsageError } from "../../errors.ts"
import type { Rlimit } from "../../oci/runtime.ts"
import type { ParsedArgv } from "../argv.ts"

function variable(where: string, text: string): string | null {
  const name = text.split("=", 1)[0] ?? ""
  if (name === "" || text.includes("\0"))
    throw new UsageError(`${where}: "${text}" is no variable (use NAME=value or NAME)`)
  if (text.length > name.length) return text
  // A bare name takes the caller's value, and is left out where the caller has none.
  const value = process.env[name]
  return value === undefined ? null : `${name}=${value}`
}

function envFile(path: string): string[] {
  let text: string
  try {
    text = readText(path)
  } catch (error) {
    throw new UsageError(`--env-file: cannot read ${path}${error instanceof SyscallError ? `: ${error.errno}` : ""}`, {
      cause: error,
    })
  }
  return text.split("\n").flatMap((line, i) => {
    const entry = line.replace(/\r$/, "").trimStart()
    if (entry === "" || entry.startsWith("#")) return []
    if (/^[^=]*\s/.test(entry.split("=", 1)[0] ?? ""))
      throw new UsageError(`--env-file: ${path}:${i + 1}: a variable's name has no blanks`)
    return variable(`--env-file: ${path}:${i + 1}`, entry) ?? []
  })
}

/** -e and --env-file, files first, as NAME=value. */
export function environment(argv: ParsedArgv): string[] {
  const option = argv.typed.get("env") ?? "-e"
  return [
    ...(argv.lists.get("env-file") ?? []).flatMap(envFile),
    ...(argv.lists.get("env") ?? []).flatMap((text) => variable(option, text) ?? []),
  ]
}

/** Names of -e without a value that the caller has none for, either: an image's variables of these names go, as with docker. */
export const unsetVariables = ({ lists }: ParsedArgv): string[] =>
  (lists.get("env") ?? []).filter((text) => !text.includes("=") && process.env[text] === undefined)

/** Seconds to wait for an end; -1 for ever. Throws UsageError. */
export function seconds(option: string, text: string): number {
  if (/^(-1|\d{1,6})$/.test(text)) return Number(text)
  throw new UsageError(`${option}: "${text}" is no number of seconds (-1: without end)`)
}

const limitValue = (text: string) =>
  text === "unlimited" || text === "-1" ? Number.POSITIVE_INFINITY : /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN

/** --ulimit NAME=SOFT[:HARD], over the defaults. */
export function ulimits(argv: ParsedArgv, defaults: readonly Rlimit[]): Rlimit[] {
  const result = new Map(defaults.map((limit) => [limit.type, limit]))
  for (const text of argv.lists.get("ulimit") ?? []) {
    const [, name = "", values = ""] = /^([^=]*)=?(.*)$/s.exec(text) ?? []
    const type = `RLIMIT_${name.toUpperCase()}`
    const names = RLIMIT_NAMES.map((key) => key.slice(7).toLowerCase())
    if (!RLIMIT_NAMES.includes(type))
      throw new UsageError(`--ulimit: "${text}": unknown limit "${name}" (use ${names.join(", ")})`)
    const [softText = "", hardText = softText, ...more] = values.split(":")
    const [soft, hard] = [limitValue(softText), limitValue(hardText)]
    if (Number.isNaN(soft) || Number.isNaN(hard) || more.length > 0)
      throw new UsageError(`--ulimit: "${text}" is no limit (use ${name}=1024 or ${name}=1024:4096)`)
    if (soft > hard) throw new UsageError(`--ulimit: "${text}": the soft limit is above the hard one`)
    result.set(type, { type, soft, hard })
  }
  return [...result.values()]
}

// The C library keeps two of the kernel's for itself: signal(7).
const SIGRTMIN = 34
const SIGRTMAX = 64

/** The number of a signal: TERM, SIGTERM, 15, SIGRTMIN+3. */
export function signalNumber(option: string, text: string): number {
  const table = signals as Record<string, number>
  const name = text.toUpperCase().startsWith("SIG") ? text.toUpperCase() : `SIG${text.toUpperCase()}`
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= SIGRTMAX) return Number(text)
  const [, edge, offset = 0] = /^SIGRT(MIN|MAX)([+-]\d{1,2})?$/.exec(name) ?? []
  const realtime = edge === undefined ? 0 : (edge === "MIN" ? SIGRTMIN : SIGRTMAX) + Number(offset)
  if (realtime >= SIGRTMIN && realtime <= SIGRTMAX) return realtime
  const number = Object.hasOwn(table, name) && !name.includes("_") ? table[name] : undefined
  if (number === undefined) throw new UsageError(`${option}: "${text}" is not a signal (use TERM, SIGINT or a number)`)
  return number
}
