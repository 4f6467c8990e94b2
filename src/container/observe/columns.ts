/** The columns that ps(1) has of processes, and those that podman top has besides. */
import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import { tryReadText } from "../../../ffi/fs.ts"
import type { ProcessInfo } from "./processes.ts"

export interface Column {
  readonly title: string
  value(process: ProcessInfo): string
}

const two = (value: number) => String(Math.floor(value)).padStart(2, "0")
const DAY = 86_400

/** [DD-]HH:MM:SS, of hours that are none nothing where they may be left out. */
function clock(seconds: number, short = false): string {
  const [days, hours] = [Math.floor(seconds / DAY), Math.floor(seconds / 3600) % 24]
  const rest = `${two((seconds / 60) % 60)}:${two(seconds % 60)}`
  if (days > 0) return `${days < 10 ? two(days) : days}-${two(hours)}:${rest}`
  return short && hours === 0 ? rest : `${two(hours)}:${rest}`
}

const age = ({ started }: ProcessInfo) => Math.max(0, Math.floor((Date.now() - started) / 1000))
const share = ({ time, started }: ProcessInfo) => (100 * time * 1000) / Math.max(1, Date.now() - started)
const memoryTotal = () => Number(/^MemTotal:\s+(\d+)/m.exec(tryReadText("/proc/meminfo") ?? "")?.[1] ?? 0) * 1024
const memoryShare = ({ resident }: ProcessInfo) => ((100 * resident) / memoryTotal()).toFixed(1)
const kibibytes = (bytes: number) => String(bytes / 1024)

function startOf({ started }: ProcessInfo, withSeconds = false): string {
  const date = new Date(started)
  const [, month = "", day = "", year = ""] = date.toDateString().split(" ")
  const seconds = (Date.now() - started) / 1000
  if (seconds >= 365 * DAY) return year
  // No blank in it: whoever reads the output counts words.
  if (seconds >= DAY) return `${month}${day}`
  return `${two(date.getHours())}:${two(date.getMinutes())}${withSeconds ? `:${two(date.getSeconds())}` : ""}`
}

function wholeStart({ started }: ProcessInfo): string {
  const date = new Date(started)
  const [weekday, month, day, year] = date.toDateString().split(" ")
  return `${weekday} ${month} ${day} ${date.toTimeString().slice(0, 8)} ${year}`
}

/** As ps aux has the state. */
function fullState({ state, nice, locked, pid, session, threads, foreground }: ProcessInfo): string {
  const priority = nice < 0 ? "<" : nice > 0 ? "N" : ""
  const marks = [locked > 0 && "L", session === pid && "s", threads > 1 && "l", foreground && "+"]
  return `${state}${priority}${marks.filter(Boolean).join("")}`
}

/** Names by ids, as the machine has them. */
function namesIn(path: string): Map<string, string> {
  const lines = (tryReadText(path) ?? "").split("\n").map((line) => line.split(":"))
  return new Map(lines.flatMap(([name, , id]) => (name && id ? [[id, name] as const] : [])))
}

const known = new Map<string, Map<string, string>>()
function nameOf(path: string, id = "?"): string {
  const names = known.get(path) ?? namesIn(path)
  known.set(path, names)
  return names.get(id) ?? id
}
const userName = (id: string | undefined) => nameOf("/etc/passwd", id)
const groupName = (id: string | undefined) => nameOf("/etc/group", id)

/** As podman names a set. */
function capabilityNames(bits = 0n): string {
  const names = CAPABILITY_NAMES.filter((_, bit) => (bits >> BigInt(bit)) & 1n)
  if (names.length === CAPABILITY_NAMES.length) return "full"
  const short = names.map((name) => name.replace("CAP_", ""))
  return short.length === 0 ? "none" : short.sort().join(",")
}

const column = (title: string, value: Column["value"]): Column => ({ title, value })
const capabilities = (title: string, set: string): Column =>
  column(title, ({ capabilities: sets }) => capabilityNames(sets[set]))

const args: Column["value"] = ({ command }) => command
const percent: Column["value"] = (process) => share(process).toFixed(1)
const resident = column("RSS", (process) => kibibytes(process.resident))
const user = column("USER", ({ uids }) => userName(uids[1]))
const group = column("GROUP", ({ gids }) => groupName(gids[1]))
const processGroup = column("PGRP", (process) => String(process.group))
const session = column("SID", (process) => String(process.session))
const thread = (title: string) => column(title, ({ pid }) => String(pid))
const threads = (title: string) => column(title, (process) => String(process.threads))
const time = column("TIME", (process) => clock(process.time))
const tty = (title: string) => column(title, (process) => process.tty)
const size = column("VSZ", ({ virtual }) => kibibytes(virtual))

/** The words of `ps -o`. */
export const COLUMNS: Readonly<Record<string, Column>> = {
  args: column("COMMAND", args),
  cmd: column("CMD", args),
  comm: column("COMMAND", ({ name }) => name),
  command: column("COMMAND", args),
  ucmd: column("CMD", ({ name }) => name),
  ucomm: column("COMMAND", ({ name }) => name),
  c: column("C", (process) => String(Math.floor(share(process)))),
  "%cpu": column("%CPU", percent),
  pcpu: column("%CPU", percent),
  "%mem": column("%MEM", memoryShare),
  pmem: column("%MEM", memoryShare),
  ni: column("NI", ({ nice }) => String(nice)),
  nice: column("NI", ({ nice }) => String(nice)),
  pri: column("PRI", ({ priority }) => String(priority)),
  psr: column("PSR", ({ processor }) => String(processor)),
  nlwp: threads("NLWP"),
  thcount: threads("THCNT"),
  pid: thread("PID"),
  tid: thread("TID"),
  lwp: thread("LWP"),
  spid: thread("SPID"),
  tgid: thread("TGID"),
  ppid: column("PPID", ({ ppid }) => String(ppid)),
  pgid: column("PGID", (process) => String(process.group)),
  pgrp: processGroup,
  sid: session,
  sess: column("SESS", (process) => String(process.session)),
  session,
  rss: resident,
  rssize: resident,
  rsz: column("RSZ", resident.value),
  vsz: size,
  vsize: size,
  sz: column("SZ", ({ virtual }) => String(virtual / 4096)),
  start: column("STARTED", (process) => startOf(process, true)),
  bsdstart: column("START", (process) => startOf(process)),
  stime: column("STIME", (process) => startOf(process)),
  lstart: column("STARTED", wholeStart),
  etime: column("ELAPSED", (process) => clock(age(process), true)),
  etimes: column("ELAPSED", (process) => String(age(process))),
  stat: column("STAT", fullState),
  state: column("S", ({ state }) => state),
  s: column("S", ({ state }) => state),
  time,
  cputime: time,
  times: column("TIME", (process) => String(Math.floor(process.time))),
  bsdtime: column("TIME", (process) => `${Math.floor(process.time / 60)}:${two(process.time % 60)}`),
  tty: tty("TT"),
  tt: tty("TT"),
  tname: tty("TTY"),
  uid: column("UID", ({ uids }) => uids[1] ?? "?"),
  euid: column("EUID", ({ uids }) => uids[1] ?? "?"),
  ruid: column("RUID", ({ uids }) => uids[0] ?? "?"),
  user,
  uname: user,
  euser: column("EUSER", user.value),
  ruser: column("RUSER", ({ uids }) => userName(uids[0])),
  gid: column("GID", ({ gids }) => gids[1] ?? "?"),
  egid: column("EGID", ({ gids }) => gids[1] ?? "?"),
  rgid: column("RGID", ({ gids }) => gids[0] ?? "?"),
  group,
  egroup: column("EGROUP", group.value),
  rgroup: column("RGROUP", ({ gids }) => groupName(gids[0])),
  wchan: column("WCHAN", ({ waitsFor }) => waitsFor),
  // podman's.
  hpid: column("HPID", ({ pid }) => String(pid)),
  huser: column("HUSER", user.value),
  hgroup: column("HGROUP", group.value),
  groups: column("GROUPS", ({ groups }) => groups.map(groupName).join(",")),
  capinh: capabilities("INHERITED CAPS", "CapInh"),
  capprm: capabilities("PERMITTED CAPS", "CapPrm"),
  capeff: capabilities("EFFECTIVE CAPS", "CapEff"),
  capbnd: capabilities("BOUNDING CAPS", "CapBnd"),
  capamb: capabilities("AMBIENT CAPS", "CapAmb"),
  seccomp: column("SECCOMP", (process) => ["disabled", "strict", "filter"][process.seccomp] ?? "?"),
}

/** Those that podman means by the same words: numbers of the container. */
export const INNER_COLUMNS: Readonly<Record<string, Column>> = {
  ...COLUMNS,
  pid: column("PID", ({ innerPid }) => String(innerPid)),
  ppid: column("PPID", ({ innerPpid }) => String(innerPpid)),
}
