/** The checked reader of `process`: runtime-spec 1.2, config.md, "Process". */
import { UsageError } from "../errors.ts"
import {
  absolutePath,
  below,
  flag,
  integer,
  list,
  object,
  oneOf,
  type Read,
  refuse,
  shown,
  text,
  uint64,
} from "./decode.ts"
import {
  type Capabilities,
  type CPUAffinity,
  IO_PRIORITY_CLASSES,
  type IOPriority,
  type Process,
  type Rlimit,
  SCHEDULER_FLAGS,
  SCHEDULER_POLICIES,
  type Scheduler,
  type User,
} from "./runtime.ts"

// 2^32 - 1 is "no id" to the kernel.
const id = integer(0, 0xfffffffe)

const user: Read<User> = object<User>(
  { uid: id, gid: id, umask: integer(0, 0o777), additionalGids: list(id) },
  ["uid", "gid"],
  () => ({ additionalGids: [] }),
)

const capability: Read<string> = (value, where) => {
  const name = text(value, where)
  return /^CAP_[A-Z_]+$/.test(name) ? name : refuse(where, "the name of a capability, such as CAP_CHOWN", value)
}

const noCapabilities = (): Capabilities => ({
  bounding: [],
  effective: [],
  permitted: [],
  inheritable: [],
  ambient: [],
})

const capabilities: Read<Capabilities> = object<Capabilities>(
  {
    bounding: list(capability),
    effective: list(capability),
    permitted: list(capability),
    inheritable: list(capability),
    ambient: list(capability),
  },
  [],
  noCapabilities,
)

const LIMITS = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
  .split(" ")
  .map((name) => `RLIMIT_${name}`)

// RLIM_INFINITY is 2^64 - 1.
const limit: Read<number> = (value, where) => {
  const number = uint64(value, where)
  return number >= 2 ** 63 ? Number.POSITIVE_INFINITY : number
}

const rlimit = object<Rlimit>({ type: oneOf(LIMITS), soft: limit, hard: limit }, ["type", "soft", "hard"])

const rlimits: Read<Rlimit[]> = (value, where) => {
  const limits = list(rlimit)(value, where)
  limits.forEach(({ type, soft, hard }, index) => {
    if (limits.findIndex((other) => other.type === type) !== index) {
      throw new UsageError(`${where}[${index}].type: ${type} is there twice`)
    }
    if (soft > hard) throw new UsageError(`${where}[${index}].soft: ${soft} is above the hard limit, ${hard}`)
  })
  return limits
}

const scheduler: Read<Scheduler> = object<Scheduler>(
  {
    policy: oneOf(SCHEDULER_POLICIES),
    nice: integer(-20, 19),
    priority: integer(0, 99),
    flags: list(oneOf(SCHEDULER_FLAGS)),
    runtime: uint64,
    deadline: uint64,
    period: uint64,
  },
  ["policy"],
)

const ioPriority: Read<IOPriority> = object<IOPriority>(
  { class: oneOf(IO_PRIORITY_CLASSES), priority: integer(0, 7) },
  ["class"],
)

// The most that a kernel can be built for.
const MOST_PROCESSORS = 8192

function isProcessorRange(range: string): boolean {
  const [, first, last = first] = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(range) ?? []
  return first !== undefined && Number(first) <= Number(last) && Number(last) < MOST_PROCESSORS
}

const processors: Read<string> = (value, where) => {
  const numbers = text(value, where)
  if (numbers === "" || numbers.split(",").every(isProcessorRange)) return numbers
  return refuse(where, "a list of processors, such as 0-3,5", value)
}

const env: Read<string> = (value, where) => {
  const entry = text(value, where)
  return entry.indexOf("=") > 0 ? entry : refuse(where, "NAME=VALUE", value)
}

const args: Read<string[]> = (value, where) => {
  const words = list(text)(value, where)
  if (words.length === 0) throw new UsageError(`${where}: must name a command, is an empty list`)
  if (words[0] === "") throw new UsageError(`${where}[0]: must name a command, is ${shown("")}`)
  return words
}

// The kernel's getcwd(2) and chdir(2) take a page.
const directory: Read<string> = (value, where) => {
  const path = absolutePath(value, where)
  return path.length < 4096 ? path : refuse(where, "a path of less than 4096 bytes", value)
}

const withoutChoice = () => ({
  env: [],
  user: { uid: 0, gid: 0, additionalGids: [] },
  capabilities: noCapabilities(),
  rlimits: [],
  noNewPrivileges: false,
})

/** What stands for a process that is not there: a container can be created without one, but not started. */
export const absentProcess = (): Process => ({ cwd: "/", args: [], ...withoutChoice() })

const process = object<Process>(
  {
    terminal: flag,
    consoleSize: object<NonNullable<Process["consoleSize"]>>({ height: uint64, width: uint64 }, ["height", "width"]),
    cwd: directory,
    env: list(env),
    args,
    user,
    capabilities,
    rlimits,
    noNewPrivileges: flag,
    oomScoreAdj: integer(-1000, 1000),
    scheduler,
    ioPriority,
    apparmorProfile: text,
    selinuxLabel: text,
    execCPUAffinity: object<CPUAffinity>({ initial: processors, final: processors }),
  },
  ["cwd", "args"],
  withoutChoice,
)

// What struct winsize holds: ioctl_tty(2).
const MOST_ROWS = 0xffff

/** What of a process is valid by itself, but not together. */
function checkTogether({ terminal, consoleSize, scheduler }: Process, where: string): void {
  for (const key of ["height", "width"] as const) {
    const size = consoleSize?.[key] ?? 0
    // Without a terminal it is to be ignored.
    if (terminal && size > MOST_ROWS) refuse(below(below(where, "consoleSize"), key), `at most ${MOST_ROWS}`, size)
  }
  if (!scheduler) return
  const place = below(where, "scheduler")
  const realtime = scheduler.policy === "SCHED_FIFO" || scheduler.policy === "SCHED_RR"
  if (scheduler.priority && !realtime) {
    throw new UsageError(`${place}.priority: is for SCHED_FIFO and SCHED_RR, not for ${scheduler.policy}`)
  }
  for (const key of ["runtime", "deadline", "period"] as const) {
    if (scheduler[key] && scheduler.policy !== "SCHED_DEADLINE") {
      throw new UsageError(`${place}.${key}: is for SCHED_DEADLINE, not for ${scheduler.policy}`)
    }
  }
}

/** `process` at a place in a file, such as "config.json: process". Throws UsageError. */
export const processAt: Read<Process> = (value, where) => {
  const result = process(value, where)
  checkTogether(result, where)
  return result
}
