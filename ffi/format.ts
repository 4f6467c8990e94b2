/** Calls as text, for people: --explain=calls, --trace and error messages. */
import type { Arg, Call } from "./calls.ts"
import * as fcntl from "./constants/fcntl.ts"
import * as ioctl from "./constants/ioctl.ts"
import * as mount from "./constants/mount.ts"
import * as prctl from "./constants/prctl.ts"
import { RLIMIT_NAMES } from "./constants/resource.ts"
import * as sched from "./constants/sched.ts"
import * as signal from "./constants/signal.ts"
import * as stat from "./constants/stat.ts"
import { errnoName } from "./errno.ts"

type Table = Readonly<Record<string, number>>

function flags(value: number, table: Table, prefix: RegExp): string {
  // By value: a module's names come in another order once it is bundled.
  const found = Object.entries(table)
    .filter(([name, bit]) => prefix.test(name) && bit !== 0)
    .sort(([, a], [, b]) => a - b)
  const exact = found.find(([, bit]) => bit === value)
  if (exact) return exact[0]
  let rest = BigInt(value)
  const words: string[] = []
  for (const [name, bit] of found) {
    const b = BigInt(bit)
    if (b > 0n && (b & (b - 1n)) === 0n && (rest & b) === b) {
      words.push(name)
      rest &= ~b
    }
  }
  if (rest !== 0n || words.length === 0) words.push(rest < 10n ? String(rest) : `0x${rest.toString(16)}`)
  return words.join("|")
}

const octal = (value: number) => (value === 0 ? "0" : `0${value.toString(8)}`)
const one = (table: Table, prefix: RegExp) => (value: number) =>
  Object.entries(table).find(([name, number]) => prefix.test(name) && number === value)?.[0] ?? String(value)
const set = (table: Table, prefix: RegExp) => (value: number) => (value === 0 ? "0" : flags(value, table, prefix))
const directory = one(fcntl, /^AT_FDCWD/)
const open = set(fcntl, /^O_/)
const mountFlags = set(mount, /^MS_/)

/** How the arguments of a function are shown, by position, where plain numbers would tell little. */
const SHAPES: Readonly<Record<string, Readonly<Record<number, (value: number) => string>>>> = {
  openat: { 0: directory, 2: open, 3: octal },
  mkdirat: { 0: directory, 2: octal },
  unlinkat: { 0: directory, 2: set(fcntl, /^AT_REMOVEDIR/) },
  renameat: { 0: directory, 2: directory },
  statx: { 0: directory, 2: set(fcntl, /^AT_(SYMLINK|EMPTY)/) },
  readlinkat: { 0: directory },
  mknodat: { 2: (mode) => `${set(stat, /^S_IF(CHR|BLK|IFO|REG)/)(mode & stat.S_IFMT)}|${octal(mode & 0o7777)}` },
  mount: { 3: mountFlags },
  umount2: { 1: set(mount, /^MNT_/) },
  open_tree: {
    0: directory,
    2: (value) =>
      `${set(mount, /^OPEN_TREE/)(value & ~0xf000)}${value & 0xf000 ? `|${flags(value & 0xf000, fcntl, /^AT_(EMPTY|RECURSIVE)/)}` : ""}`,
  },
  move_mount: { 2: directory, 4: set(mount, /^MOVE_MOUNT/) },
  fsopen: { 1: set(mount, /^FSOPEN/) },
  fsmount: { 1: set(mount, /^FSMOUNT/), 2: set(mount, /^MOUNT_ATTR_[A-Z]/) },
  fsconfig: { 1: one(mount, /^FSCONFIG/) },
  mount_setattr: { 2: set(fcntl, /^AT_(EMPTY|RECURSIVE)/) },
  setns: { 1: set(sched, /^CLONE_/) },
  unshare: { 0: set(sched, /^CLONE_/) },
  prctl: { 0: one(prctl, /^PR_(SET|CAP(BSET|_AMBIENT$))/) },
  prlimit64: { 1: (value) => RLIMIT_NAMES[value] ?? String(value) },
  ioctl: { 1: one(ioctl, /^(T|SIOC)/) },
  fcntl: { 1: one(fcntl, /^F_(SETFD|SETFL|ADD)/) },
  rt_sigaction: { 0: one(signal, /^SIG[A-Z0-9]+$/) },
  rt_sigprocmask: { 0: one(signal, /^SIG_/) },
  execveat: { 4: set(fcntl, /^AT_EMPTY/) },
  umask: { 0: octal },
  dup3: { 2: open },
  fchownat: { 0: directory, 4: set(fcntl, /^AT_SYMLINK/) },
}

/** Structures with flags in them: which field of which argument. */
const FIELDS: Readonly<Record<string, Readonly<Record<number, (value: number) => string>>>> = {
  openat2: { 0: open, 1: octal, 2: set(fcntl, /^RESOLVE_/) },
  clone3: { 0: set(sched, /^CLONE_/), 4: one(signal, /^SIG[A-Z0-9]+$/) },
  mount_setattr: { 0: set(mount, /^MOUNT_ATTR_[A-Z]/), 1: set(mount, /^MOUNT_ATTR_[A-Z]/), 2: mountFlags },
}

const printable = (bytes: Uint8Array) => bytes.every((byte) => byte === 10 || (byte >= 32 && byte < 127))

function shown(call: Call, arg: Arg, position: number): string {
  if (typeof arg === "number") return SHAPES[call.name]?.[position]?.(arg) ?? String(arg)
  if (typeof arg === "bigint") return arg === 0xffffffffffffffffn ? "RLIM_INFINITY" : String(arg)
  if (typeof arg === "string") return JSON.stringify(arg)
  if (arg === null) return "NULL"
  if (arg instanceof Uint8Array) {
    return printable(arg) && arg.length > 0 && arg.length < 200
      ? JSON.stringify(new TextDecoder().decode(arg))
      : `{${arg.length} bytes}`
  }
  switch (arg.kind) {
    case "slot":
    case "out":
      return `<${arg.name}>`
    case "at":
      return `&<${arg.out.name}>${arg.offset ? `+${arg.offset}` : ""}`
    case "strings":
      return `[${arg.values.map((value) => JSON.stringify(value)).join(", ")}]`
    case "struct": {
      const fields = arg.fields.map(([, field], i) => {
        const shape = FIELDS[call.name]?.[i]
        return typeof field === "number" && shape ? shape(field) : shown({ name: "", args: [] }, field, i)
      })
      while (fields.length > 1 && fields.at(-1) === "0") fields.pop()
      return `{${fields.join(", ")}}`
    }
  }
}

/** The arguments of a call: `"proc", FSOPEN_CLOEXEC`. */
export const formatArguments = (call: Call): string => call.args.map((arg, i) => shown(call, arg, i)).join(", ")

/** A call as one line: `fsopen("proc", FSOPEN_CLOEXEC) → <fs>`. */
export function formatCall(call: Call): string {
  const into =
    call.into === undefined ? "" : ` → ${"kind" in call.into ? `<${call.into.name}>` : `<${call.into.at.out.name}>`}`
  const tolerated = call.tolerate && !call.report ? `  or ${call.tolerate.map(errnoName).join(", ")}` : ""
  return `${call.name}(${formatArguments(call)})${into}${tolerated}`
}
