/** Environment, limits of the process, signal names. */

import { O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { RLIMIT_NAMES } from "../../../ffi/constants/resource.ts"
import * as signals from "../../../ffi/constants/signal.ts"
import { SyscallError } from "../../../ffi/errno.ts"
import { close, open, readAll } from "../../../ffi/fs.ts"
import { fileFault, UsageError } from "../../errors.ts"
import type { Rlimit } from "../../oci/runtime.ts"
import type { ParsedArgv } from "../argv.ts"
import { variableOf } from "../utf8.ts"

function variable(where: string, text: string): string | null {
  const name = text.split("=", 1)[0] ?? ""
  if (name === "" || text.includes("\0"))
    throw new UsageError(`${where}: "${text}" is no variable (use NAME=value or NAME)`)
  if (text.length > name.length) return text
  // A bare name takes the caller's value, and is left out where the caller has none.
  const value = variableOf(name)
  return value === undefined ? null : `${name}=${value}`
}

function strictText(path: string): string {
  const fd = open(path, O_RDONLY)
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readAll(fd))
  } finally {
    close(fd)
  }
}

/** The lines of a file that say something, and where each stands. Throws UsageError. */
export function linesOf(option: string, path: string): { where: string; line: string }[] {
  let text: string
  try {
    text = strictText(path)
  } catch (error) {
    // What the decoder has to say is a TypeError.
    const cause = error instanceof SyscallError ? fileFault(error) : new Error("it is not UTF-8")
    throw new UsageError(`${option}: cannot read ${path}`, { cause })
  }
  return text.split("\n").flatMap((line, i) => {
    const entry = line.replace(/\r$/, "").trimStart()
    return entry === "" || entry.startsWith("#") ? [] : [{ where: `${option}: ${path}:${i + 1}`, line: entry }]
  })
}

const envFile = (path: string): string[] =>
  linesOf("--env-file", path).flatMap(({ where, line }) => {
    if (/^[^=]*\s/.test(line.split("=", 1)[0] ?? "")) throw new UsageError(`${where}: a variable's name has no blanks`)
    return variable(where, line) ?? []
  })

/** -e and --env-file, files first, as NAME=value. */
export function environment(argv: ParsedArgv): string[] {
  const option = argv.typed.get("env") ?? "-e"
  return [
    ...(argv.lists.get("env-file") ?? []).flatMap(envFile),
    ...(argv.lists.get("env") ?? []).flatMap((text) => variable(option, text) ?? []),
  ]
}

/** Whether a variable tells programs of a proxy: podman's list. */
export const isProxyVariable = (name: string): boolean => /^(https?|ftp|no|all)_proxy$/i.test(name)

/** What --unsetenv and --unsetenv-all leave out of what nobody has asked for by -e: names, or all. Throws UsageError. */
export function unsetOptions({ lists, booleans }: ParsedArgv): { unsetEnv?: readonly string[] | "all" } {
  if (booleans.get("unsetenv-all")) return { unsetEnv: "all" }
  const names = lists.get("unsetenv")
  const bad = names?.find((name) => name === "" || /[=\0]/.test(name))
  if (bad !== undefined) throw new UsageError(`--unsetenv: "${bad}" is no name of a variable`)
  return names === undefined ? {} : { unsetEnv: names }
}

/**
 * What --env-host and --http-proxy take over of the caller's, as NAME=value: an image's variables go over these, and --unsetenv
 * leaves them out, too, as podman has it.
 */
export function callerVariables(argv: ParsedArgv): string[] {
  const all = argv.booleans.get("env-host") ?? false
  const { unsetEnv = [] } = unsetOptions(argv)
  if ((!all && !argv.booleans.get("http-proxy")) || unsetEnv === "all") return []
  return Object.keys(process.env).flatMap((name) =>
    name !== "" && (all || isProxyVariable(name)) && !unsetEnv.includes(name) ? [`${name}=${variableOf(name)}`] : [],
  )
}

/** What an image's variables become: those of -e without a value that the caller has none for, either, go, as with docker. */
export function imageVariables(env: readonly string[], argv: ParsedArgv): string[] {
  const { unsetEnv = [] } = unsetOptions(argv)
  if (unsetEnv === "all") return []
  const bare = (argv.lists.get("env") ?? []).filter((text) => !text.includes("=") && process.env[text] === undefined)
  const gone = new Set([...unsetEnv, ...bare])
  // A NAME without a value is nobody's wish.
  return env.filter((entry) => entry.indexOf("=") > 0 && !gone.has(entry.slice(0, entry.indexOf("="))))
}

/** --umask, octal. Throws UsageError. */
export function umaskOption(text: string | undefined): { umask?: number } {
  if (text === undefined) return {}
  if (!/^0{0,3}[0-7]{1,3}$/.test(text))
    throw new UsageError(`--umask: "${text}" is no umask (use 0022, octal, at most 0777)`)
  return { umask: Number.parseInt(text, 8) }
}

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
