/** Processes as ps(1) shows them, from /proc alone: proc_pid_stat(5), proc_pid_status(5). */
import { tryReadText } from "../../../ffi/fs.ts"
import { UsageError } from "../../errors.ts"

export interface ProcessInfo {
  pid: number
  ppid: number
  user: string
  state: string
  tty: string
  threads: number
  nice: number
  /** Seconds of processor time. */
  time: number
  /** Milliseconds since 1970. */
  started: number
  /** Bytes. */
  virtual: number
  resident: number
  /** The name of the program, and the whole command line. */
  name: string
  command: string
}

// USER_HZ is 100 on every architecture that toybox runs on: times(2).
const TICKS = 100
const PAGE = 4096

function ttyName(device: number): string {
  const [major, minor] = [(device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00)]
  if (major >= 136 && major <= 143) return `pts/${minor + (major - 136) * 256}`
  return major === 4 ? `tty${minor}` : "?"
}

/** The names of users by id, as the machine has them. */
function userNames(): Map<string, string> {
  const lines = (tryReadText("/etc/passwd") ?? "").split("\n").map((line) => line.split(":"))
  return new Map(lines.flatMap(([name, , uid]) => (name && uid ? [[uid, name] as const] : [])))
}

const bootTime = () => Number(/^btime (\d+)$/m.exec(tryReadText("/proc/stat") ?? "")?.[1] ?? 0) * 1000

/** What is known of the processes; those that have ended meanwhile are left out. */
export function readProcesses(pids: readonly number[]): ProcessInfo[] {
  const users = userNames()
  const boot = bootTime()
  return pids.flatMap((pid) => {
    const stat = tryReadText(`/proc/${pid}/stat`)
    const status = tryReadText(`/proc/${pid}/status`)
    const line = tryReadText(`/proc/${pid}/cmdline`)
    if (stat === null || status === null || line === null) return []
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const number = (index: number) => Number(fields[index])
    const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))
    const uid = /^Uid:\s+(\d+)/m.exec(status)?.[1] ?? "?"
    return [
      {
        pid,
        ppid: number(1),
        user: users.get(uid) ?? uid,
        state: fields[0] ?? "?",
        tty: ttyName(number(4)),
        threads: number(17),
        nice: number(16),
        time: (number(11) + number(12)) / TICKS,
        started: boot + (number(19) * 1000) / TICKS,
        virtual: number(20),
        resident: number(21) * PAGE,
        name,
        command: line === "" ? `[${name}]` : line.replace(/\0+$/, "").replaceAll("\0", " "),
      },
    ]
  })
}

const two = (value: number) => String(Math.floor(value)).padStart(2, "0")
const clock = (seconds: number) => `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`
const share = ({ time, started }: ProcessInfo) => (100 * time * 1000) / Math.max(1, Date.now() - started)
const memoryTotal = () => Number(/^MemTotal:\s+(\d+)/m.exec(tryReadText("/proc/meminfo") ?? "")?.[1] ?? 0) * 1024

function startOf({ started }: ProcessInfo): string {
  const date = new Date(started)
  const isToday = Date.now() - started < 86_400_000
  return isToday ? `${two(date.getHours())}:${two(date.getMinutes())}` : date.toDateString().slice(4, 10)
}

interface Column {
  readonly title: string
  value(process: ProcessInfo): string
}

/** The words of `ps -o`. */
const COLUMNS: Readonly<Record<string, Column>> = {
  args: { title: "COMMAND", value: ({ command }) => command },
  cmd: { title: "CMD", value: ({ command }) => command },
  comm: { title: "COMMAND", value: ({ name }) => name },
  command: { title: "COMMAND", value: ({ command }) => command },
  c: { title: "C", value: (process) => String(Math.floor(share(process))) },
  "%cpu": { title: "%CPU", value: (process) => share(process).toFixed(1) },
  pcpu: { title: "%CPU", value: (process) => share(process).toFixed(1) },
  "%mem": { title: "%MEM", value: ({ resident }) => ((100 * resident) / memoryTotal()).toFixed(1) },
  pmem: { title: "%MEM", value: ({ resident }) => ((100 * resident) / memoryTotal()).toFixed(1) },
  ni: { title: "NI", value: ({ nice }) => String(nice) },
  nlwp: { title: "NLWP", value: ({ threads }) => String(threads) },
  pid: { title: "PID", value: ({ pid }) => String(pid) },
  ppid: { title: "PPID", value: ({ ppid }) => String(ppid) },
  rss: { title: "RSS", value: ({ resident }) => String(resident / 1024) },
  start: { title: "START", value: startOf },
  stime: { title: "STIME", value: startOf },
  stat: { title: "STAT", value: ({ state }) => state },
  state: { title: "S", value: ({ state }) => state },
  time: { title: "TIME", value: ({ time }) => clock(time) },
  tty: { title: "TTY", value: ({ tty }) => tty },
  uid: { title: "UID", value: ({ user }) => user },
  user: { title: "USER", value: ({ user }) => user },
  vsz: { title: "VSZ", value: ({ virtual }) => String(virtual / 1024) },
}

const FULL = "uid pid ppid c stime tty time cmd".split(" ")
const BSD = "user pid %cpu %mem vsz rss tty stat start time command".split(" ")

/** The columns that ps options ask for: `-ef` (also where there are none), `aux`, `-o LIST`. Throws UsageError. */
export function columnsOf(options: readonly string[]): string[] {
  const [first, second] = options
  if (first === undefined || /^-?ef$/.test(first)) return FULL
  if (/^-?aux$/.test(first)) return BSD
  const list = /^-?e?o$/.test(first) ? second : /^-?e?o(.+)$/.exec(first)?.[1]
  if (list === undefined) {
    throw new UsageError(`top: "${options.join(" ")}" is not understood`, { hint: "use -ef, aux, or -o pid,user,args" })
  }
  const names = list.toLowerCase().split(",")
  for (const name of names) {
    if (!Object.hasOwn(COLUMNS, name))
      throw new UsageError(`top: "${name}" is not a column`, { hint: `use ${Object.keys(COLUMNS).join(", ")}` })
  }
  return names
}

/** Titles and rows. */
export const processRows = (processes: readonly ProcessInfo[], columns: readonly string[]): string[][] => [
  columns.map((name) => COLUMNS[name]?.title ?? name),
  ...processes.map((process) => columns.map((name) => COLUMNS[name]?.value(process) ?? "")),
]
