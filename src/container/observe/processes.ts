/** Processes as ps(1) knows them, from /proc alone: proc_pid_stat(5), proc_pid_status(5). */
import { tryReadText } from "../../../ffi/fs.ts"

/** Real, effective, saved and that of the file system. */
type Ids = readonly string[]

export interface ProcessInfo {
  pid: number
  ppid: number
  /** In the container's own numbers. */
  innerPid: number
  /** 0 where that is not of the container. */
  innerPpid: number
  group: number
  session: number
  /** Whether it has its terminal's foreground. */
  foreground: boolean
  uids: Ids
  gids: Ids
  groups: readonly string[]
  state: string
  tty: string
  threads: number
  priority: number
  nice: number
  processor: number
  /** Seconds of processor time. */
  time: number
  /** Milliseconds since 1970. */
  started: number
  /** Bytes. */
  virtual: number
  resident: number
  locked: number
  /** Bits of capability sets, by their names in status. */
  capabilities: Readonly<Record<string, bigint>>
  /** 0, 1 or 2: prctl(2). */
  seccomp: number
  /** What it waits for in the kernel. */
  waitsFor: string
  /** The name of the program, and the whole command line. */
  name: string
  command: string
}

// USER_HZ is 100 on every architecture that toybox runs on: times(2).
const TICKS = 100
const PAGE = 4096
// ps shows them the other way round.
const HIGHEST = 39

function ttyName(device: number): string {
  const [major, minor] = [(device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00)]
  if (major >= 136 && major <= 143) return `pts/${minor + (major - 136) * 256}`
  return major === 4 ? `tty${minor}` : "?"
}

const bootTime = () => Number(/^btime (\d+)$/m.exec(tryReadText("/proc/stat") ?? "")?.[1] ?? 0) * 1000

/** The fields of /proc/PID/status by their names. */
function statusFields(text: string): (name: string) => string {
  const fields = new Map(text.split("\n").map((line) => line.split(/:\s*(.*)/s, 2) as [string, string]))
  return (name) => fields.get(name) ?? ""
}

const words = (text: string) => text.split(/\s+/).filter(Boolean)

function readProcess(pid: number, boot: number): ProcessInfo | null {
  const stat = tryReadText(`/proc/${pid}/stat`)
  const text = tryReadText(`/proc/${pid}/status`)
  const line = tryReadText(`/proc/${pid}/cmdline`)
  if (stat === null || text === null || line === null) return null
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const number = (index: number) => Number(fields[index])
  const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))
  const status = statusFields(text)
  const sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
  return {
    pid,
    ppid: number(1),
    innerPid: Number(words(status("NSpid")).at(-1) ?? pid),
    innerPpid: 0,
    group: number(2),
    session: number(3),
    foreground: number(5) === number(2),
    uids: words(status("Uid")),
    gids: words(status("Gid")),
    groups: words(status("Groups")),
    state: fields[0] ?? "?",
    tty: ttyName(number(4)),
    threads: number(17),
    priority: HIGHEST - number(15),
    nice: number(16),
    processor: number(36),
    time: (number(11) + number(12)) / TICKS,
    started: boot + (number(19) * 1000) / TICKS,
    virtual: number(20),
    resident: number(21) * PAGE,
    locked: Number.parseInt(status("VmLck"), 10) || 0,
    capabilities: Object.fromEntries(sets.map((set) => [set, BigInt(`0x${status(set) || "0"}`)])),
    seccomp: Number(status("Seccomp")),
    waitsFor: tryReadText(`/proc/${pid}/wchan`)?.replace(/^0?$/, "-") ?? "-",
    name,
    command: line === "" ? `[${name}]` : line.replace(/\0+$/, "").replaceAll("\0", " "),
  }
}

/** What is known of the processes; those that have ended meanwhile are left out. */
export function readProcesses(pids: readonly number[]): ProcessInfo[] {
  const boot = bootTime()
  const found = pids.flatMap((pid) => readProcess(pid, boot) ?? [])
  const inner = new Map(found.map(({ pid, innerPid }) => [pid, innerPid]))
  return found.map((one) => ({ ...one, innerPpid: inner.get(one.ppid) ?? 0 }))
}
