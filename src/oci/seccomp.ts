/** OCI runtime-spec 1.2 linux.seccomp (config-linux.md): types and their checked reader. */
import { ToyboxError } from "../errors.ts"

export const ACTIONS = [
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
] as const
export type SeccompAction = (typeof ACTIONS)[number]

export const OPERATORS = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const
export type SeccompOperator = (typeof OPERATORS)[number]

export const FILTER_FLAGS = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
] as const
export type SeccompFlag = (typeof FILTER_FLAGS)[number]

export interface SeccompArgument {
  index: number
  /** Beyond 2^53 - 1 a bigint: see parseSeccompJson. With MASKED_EQ the mask. */
  value: number | bigint
  valueTwo?: number | bigint
  op: SeccompOperator
}

export interface SeccompSyscall {
  names: readonly string[]
  action: SeccompAction
  errnoRet?: number
  args?: readonly SeccompArgument[]
}

export interface LinuxSeccomp {
  defaultAction: SeccompAction
  defaultErrnoRet?: number
  /** SCMP_ARCH_ names beside the machine's own. */
  architectures?: readonly string[]
  flags?: readonly SeccompFlag[]
  listenerPath?: string
  listenerMetadata?: string
  syscalls?: readonly SeccompSyscall[]
}

type Json = Readonly<Record<string, unknown>>

const fail = (where: string, value: unknown, expected: string): never => {
  const shown = typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "undefined")
  throw new ToyboxError(`${where}: ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown} is not ${expected}`)
}

/** An object of a JSON text, with no other fields than those named. Throws ToyboxError. */
export function readObject(value: unknown, where: string, fields: readonly string[]): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(where, value, "an object")
  for (const field of Object.keys(value)) {
    if (!fields.includes(field)) throw new ToyboxError(`${where}.${field}: there is no such field`)
  }
  return value as Json
}

/** A list of a JSON text; null counts as none, as Go's encoder writes it. Throws ToyboxError. */
export function readList<T>(value: unknown, where: string, read: (item: unknown, where: string) => T): T[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return fail(where, value, "a list")
  return value.map((item, index) => read(item, `${where}[${index}]`))
}

/** A string of a JSON text, without a NUL. Throws ToyboxError. */
export const readText = (value: unknown, where: string): string =>
  typeof value === "string" && !value.includes("\0") ? value : fail(where, value, "a text")

/** One of the words. Throws ToyboxError. */
export const readWord = <T extends string>(value: unknown, where: string, words: readonly T[]): T =>
  words.includes(value as T) ? (value as T) : fail(where, value, `one of ${words.join(", ")}`)

const MOST_ERRNO = 4095

// SECCOMP_RET_DATA has 16 bits; the kernel caps an errno at MAX_ERRNO, and a tracer's number may be any.
function readErrno(value: unknown, where: string, action: SeccompAction): number | undefined {
  if (value === undefined || value === null) return undefined
  const most = action === "SCMP_ACT_TRACE" ? 0xffff : MOST_ERRNO
  const valid = typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most
  return valid ? value : fail(where, value, `an errno (0 to ${most})`)
}

function readUint64(value: unknown, where: string): number | bigint {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value
  if (typeof value === "bigint" && value >= 0n && value < 1n << 64n) return value
  return fail(where, value, "a whole number of 64 bits")
}

function readArgument(value: unknown, where: string): SeccompArgument {
  const { index, value: first, valueTwo, op } = readObject(value, where, ["index", "value", "valueTwo", "op"])
  if (!(typeof index === "number" && Number.isInteger(index) && index >= 0 && index <= 5)) {
    return fail(`${where}.index`, index, "an argument (0 to 5)")
  }
  return {
    index,
    value: readUint64(first, `${where}.value`),
    ...(valueTwo === undefined ? {} : { valueTwo: readUint64(valueTwo, `${where}.valueTwo`) }),
    op: readWord(op, `${where}.op`, OPERATORS),
  }
}

export const SYSCALL_FIELDS = ["names", "action", "errnoRet", "args"] as const

/** One entry of linux.seccomp.syscalls. Throws ToyboxError. */
export function readSyscall(value: Json, where: string): SeccompSyscall {
  const action = readWord(value.action, `${where}.action`, ACTIONS)
  const errnoRet = readErrno(value.errnoRet, `${where}.errnoRet`, action)
  const args = readList(value.args, `${where}.args`, readArgument)
  const names = readList(value.names, `${where}.names`, readText)
  if (names.length === 0) fail(`${where}.names`, value.names, "a list of system calls")
  return { names, action, ...(errnoRet === undefined ? {} : { errnoRet }), ...(args.length === 0 ? {} : { args }) }
}

export const SECCOMP_FIELDS = [
  "defaultAction",
  "defaultErrnoRet",
  "architectures",
  "flags",
  "listenerPath",
  "listenerMetadata",
  "syscalls",
] as const

/** All of a profile but its system calls. Throws ToyboxError. */
export function readSettings(value: Json, where: string): LinuxSeccomp {
  const defaultAction = readWord(value.defaultAction, `${where}.defaultAction`, ACTIONS)
  const defaultErrnoRet = readErrno(value.defaultErrnoRet, `${where}.defaultErrnoRet`, defaultAction)
  const text = (field: "listenerPath" | "listenerMetadata") =>
    value[field] === undefined || value[field] === "" ? {} : { [field]: readText(value[field], `${where}.${field}`) }
  const flags = readList(value.flags, `${where}.flags`, (item, at) => readWord(item, at, FILTER_FLAGS))
  const architectures = readList(value.architectures, `${where}.architectures`, readText)
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    ...(architectures.length === 0 ? {} : { architectures }),
    // An empty list is an answer: no flags. Without one the runtime chooses.
    ...(value.flags === undefined || value.flags === null ? {} : { flags }),
    ...text("listenerPath"),
    ...text("listenerMetadata"),
  }
}

/** linux.seccomp of a config.json. Throws ToyboxError, naming the field. */
export function readSeccomp(value: unknown, where = "linux.seccomp"): LinuxSeccomp {
  const object = readObject(value, where, SECCOMP_FIELDS)
  const syscalls = readList(object.syscalls, `${where}.syscalls`, (item, at) =>
    readSyscall(readObject(item, at, SYSCALL_FIELDS), at),
  )
  return { ...readSettings(object, where), syscalls }
}

/** JSON.parse that keeps whole numbers beyond 2^53 - 1 exact, as bigints. Throws SyntaxError. */
export function parseSeccompJson(text: string): unknown {
  type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown
  const exact: Reviver = (_, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && /^\d+$/.test(source)
      ? BigInt(source)
      : value
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown)
}

/** JSON.stringify of what holds a profile: its bigints are written as the numbers they are. */
export function stringifyExact(value: unknown, seccomp: LinuxSeccomp | undefined): string {
  const isBig = ({ value, valueTwo }: SeccompArgument) => typeof value === "bigint" || typeof valueTwo === "bigint"
  // Asked beforehand, because a replacer is called for every part of the value.
  if (!seccomp?.syscalls?.some(({ args }) => args?.some(isBig))) return JSON.stringify(value)
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? rawJSON(String(part)) : part))
}
