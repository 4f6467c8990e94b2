/** OCI runtime-spec 1.2 linux.seccomp (config-linux.md): types and their checked reader. */
import { below, exactUint64, integer, list, object, oneOf, type Read, refuse, text } from "./decode.ts"

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
  /** Beyond 2^53 - 1 a bigint: see parseJson. With MASKED_EQ the mask. */
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

const MOST_ERRNO = 4095

/** An errno belongs to the action that gives it: SECCOMP_RET_DATA has 16 bits, and the kernel caps an errno at MAX_ERRNO. */
function checkErrno(errno: number | undefined, action: SeccompAction, where: string): void {
  // A tracer's number may be any.
  const most = action === "SCMP_ACT_TRACE" ? 0xffff : MOST_ERRNO
  if (errno !== undefined && errno > most) refuse(where, `an errno (0 to ${most})`, errno)
}

const argument = object<SeccompArgument>(
  { index: integer(0, 5), value: exactUint64, valueTwo: exactUint64, op: oneOf(OPERATORS) },
  ["index", "value", "op"],
)

const syscall = object<SeccompSyscall>(
  { names: list(text), action: oneOf(ACTIONS), errnoRet: integer(0, 0xffff), args: list(argument) },
  ["names", "action"],
)

export const SYSCALL_FIELDS = ["names", "action", "errnoRet", "args"] as const

/** One entry of linux.seccomp.syscalls. Throws UsageError. */
export const readSyscall: Read<SeccompSyscall> = (value, where) => {
  const { args = [], ...found } = syscall(value, where)
  checkErrno(found.errnoRet, found.action, below(where, "errnoRet"))
  if (found.names.length === 0) refuse(below(where, "names"), "a list of system calls", found.names)
  return args.length === 0 ? found : { ...found, args }
}

type Settings = Omit<LinuxSeccomp, "syscalls">

const settings = object<Settings>(
  {
    defaultAction: oneOf(ACTIONS),
    defaultErrnoRet: integer(0, 0xffff),
    architectures: list(text),
    flags: list(oneOf(FILTER_FLAGS)),
    listenerPath: text,
    listenerMetadata: text,
  },
  ["defaultAction"],
)

export const SECCOMP_FIELDS = [
  "defaultAction",
  "defaultErrnoRet",
  "architectures",
  "flags",
  "listenerPath",
  "listenerMetadata",
  "syscalls",
] as const

/** All of a profile but its system calls. Throws UsageError. */
export const readSettings: Read<Settings> = (value, where) => {
  const { architectures = [], listenerPath, listenerMetadata, ...found } = settings(value, where)
  checkErrno(found.defaultErrnoRet, found.defaultAction, below(where, "defaultErrnoRet"))
  return {
    ...found,
    ...(architectures.length === 0 ? {} : { architectures }),
    ...(listenerPath ? { listenerPath } : {}),
    ...(listenerMetadata ? { listenerMetadata } : {}),
  }
}

const syscalls = object<{ syscalls: readonly SeccompSyscall[] }>({ syscalls: list(readSyscall) }, [], () => ({
  syscalls: [],
}))

/** linux.seccomp of a config.json. Throws UsageError, naming the field. */
export const readSeccomp: Read<LinuxSeccomp> = (value, where) => ({
  ...readSettings(value, where),
  ...syscalls(value, where),
})

/** JSON.stringify, with bigints as the numbers they are. */
export function exactJson(value: unknown): string {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? rawJSON(String(part)) : part))
}

/** JSON.stringify of what holds a profile: its bigints are written as the numbers they are. */
export function stringifyExact(value: unknown, seccomp: LinuxSeccomp | undefined): string {
  const isBig = ({ value, valueTwo }: SeccompArgument) => typeof value === "bigint" || typeof valueTwo === "bigint"
  // Asked beforehand, because a replacer is called for every part of the value.
  if (!seccomp?.syscalls?.some(({ args }) => args?.some(isBig))) return JSON.stringify(value)
  return exactJson(value)
}
