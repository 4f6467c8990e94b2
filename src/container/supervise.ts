/** From the clone to the end of the command: reports, signals, output, exit. One thread, one poll. */
import { POLLIN } from "../../ffi/constants/poll.ts"
import {
  SIGALRM,
  SIGCHLD,
  SIGHUP,
  SIGINT,
  SIGKILL,
  SIGQUIT,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
  SIGWINCH,
} from "../../ffi/constants/signal.ts"
import { __WALL, WNOHANG } from "../../ffi/constants/wait.ts"
import { close, tryReadText } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { isIgnored, kill, openSignals, readSignals, type WaitStatus, waitChild } from "../../ffi/signal.ts"
import { receiveFd } from "../../ffi/tty.ts"
import { type Reports, readReports } from "../launch/index.ts"
import type { Doors } from "./doors.ts"
import { advance, isPending, type Pump, wanted } from "./pump.ts"
import { type Attached, attachTerminal } from "./stdio.ts"

const FIRST_REALTIME = 34
const LAST_SIGNAL = 64
const FORWARDED = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM]
for (let signal = FIRST_REALTIME; signal <= LAST_SIGNAL; signal++) FORWARDED.push(signal)
/** Those that ask a command to end. */
export const ENDING: ReadonlyMap<number, string> = new Map([
  [SIGHUP, "SIGHUP"],
  [SIGINT, "SIGINT"],
  [SIGQUIT, "SIGQUIT"],
  [SIGTERM, "SIGTERM"],
])

/** Takes signals as events from now on; where the caller has SIGHUP ignored, as nohup(1) does, it stays so. */
export function takeSignals(): number {
  const forwarded = isIgnored(SIGHUP) ? FORWARDED.filter((signal) => signal !== SIGHUP) : FORWARDED
  return openSignals([...forwarded, SIGWINCH, SIGCHLD])
}

export interface Supervised {
  pid: number
  signalFd: number
  reportFd: number
  /** What has come over the pipe already. */
  reports?: Reports
  /** With --trace, whose reports count otherwise. */
  traced: boolean
  pumps: Pump[]
  /** Those of its published ports that a process serves when somebody comes. */
  published?: { doors: Doors; start: Parameters<Doors["open"]>[0] } | null
  terminal: {
    socket: number
    input: boolean
    /** What it writes is; so it is where this is not given. */
    shown?: boolean
    detachKeys: readonly number[]
    detached: () => void
  } | null
  /** The command is PID 1 of a namespace: the kernel keeps signals from it that it has no handler for. */
  isInit: boolean
  /** Whether a report is of an exec candidate that failed, after which others may have succeeded. */
  isExecAttempt: (index: number) => boolean
  /** The command runs: its exec has happened. */
  onExec: (pid: number) => void
  notice: (text: string) => void
}

export interface Ending {
  status: WaitStatus
  reports: Reports
  executed: boolean
  /** The signal that toybox turned into SIGKILL: the command would never have seen it, or was not there yet. */
  escalated?: number
  /** The last signal to end that was passed on, */
  passedOn?: number
  /** by the toybox in the foreground, though there is a supervisor. */
  fromForeground?: true
  /** Gives a slow reader what is left of the output; to be called when nobody waits for this toybox any more. */
  passRest?: () => void
}

/** Whether a process neither catches, ignores nor blocks a signal: proc_pid_status(5). */
export function unhandled(pid: number, signal: number): boolean {
  const status = tryReadText(`/proc/${pid}/status`) ?? ""
  const bit = 1n << BigInt(signal - 1)
  return ["SigBlk", "SigIgn", "SigCgt"].every((field) => {
    const mask = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1]
    return mask !== undefined && (BigInt(`0x${mask}`) & bit) === 0n
  })
}

/** What there is to say of a command that is killed for that. */
export const unheard = (signal: number): string =>
  `the command has no handler for ${ENDING.get(signal)}, which the kernel keeps from a PID 1: killed (--init helps)`

const DRAIN_MILLISECONDS = 100

const outputsOf = (pumps: readonly Pump[]) => pumps.filter((pump) => !pump.done && pump.from !== 0)

/** Until all that is there has been taken, or this toybox is told to end. How long others hold the output is no matter. */
function passRest(outputs: readonly Pump[], signalFd: number): void {
  for (let left = outputs; left.length > 0; left = outputsOf(left)) {
    const isWaiting = left.some(isPending)
    const [signalled, ...moved] = poll([{ fd: signalFd, events: POLLIN }, ...left.map(wanted)], isWaiting ? null : 0)
    left.forEach((pump, i) => {
      advance(pump, moved[i] ?? 0)
    })
    if (signalled && readSignals(signalFd).some((signal) => ENDING.has(signal))) return
    if (!isWaiting && moved.every((events) => events === 0)) return
  }
}

/** Runs until the command has ended and what it wrote is passed on. */
export function supervise(options: Supervised): Ending {
  const { signalFd, reportFd, notice } = options
  const { reports = { failures: [] } } = options
  const pumps = [...options.pumps]
  let pid = reports.pid ?? options.pid
  let status: WaitStatus | null = null
  let reporting = true
  let executed = false
  let escalated: number | undefined
  let passedOn: number | undefined
  let attached: Attached | null = null
  let socket = options.terminal?.socket ?? -1
  const { doors, start } = options.published ?? {}

  const forward = (signal: number) => {
    // What has been waited for is nobody's number, or another's, while the rest of its output is copied.
    if (status !== null) return
    if (ENDING.has(signal)) passedOn = signal
    if (!executed && ENDING.has(signal)) {
      escalated = signal
      kill(pid, SIGKILL)
    } else if (options.isInit && ENDING.has(signal) && unhandled(pid, signal)) {
      notice(unheard(signal))
      escalated = signal
      kill(pid, SIGKILL)
    } else kill(pid, signal)
  }
  const onSignals = () => {
    for (const signal of readSignals(signalFd)) {
      if (signal === SIGCHLD) continue
      if (signal === SIGWINCH) attached?.resize()
      else forward(signal)
    }
    // One SIGCHLD may stand for several; a helper's end is no news.
    if (options.pid !== pid) waitChild(options.pid, WNOHANG | __WALL)
    if (doors?.serving && waitChild(doors.serving, WNOHANG)) doors.ended(doors.serving)
    status ??= waitChild(pid, WNOHANG | __WALL)
  }
  const onReport = () => {
    reporting = readReports(reportFd, reports, options.traced)
    if (reports.pid !== undefined) pid = reports.pid
    if (reporting) return
    // The end comes with an exec that happened, or with the death of a process that told why.
    executed = reports.failures.every(({ index }) => options.isExecAttempt(index))
    if (executed) options.onExec(pid)
  }
  const onMaster = () => {
    const master = receiveFd(socket)
    close(socket)
    socket = -1
    if (master === null || !options.terminal) return
    attached = attachTerminal(master, options.terminal)
    pumps.push(...attached.pumps)
  }
  try {
    let drainUntil = Number.POSITIVE_INFINITY
    for (;;) {
      const live = pumps.filter((pump) => !pump.done)
      const sources = [
        { fd: signalFd, events: POLLIN },
        { fd: reporting ? reportFd : -1, events: POLLIN },
        { fd: socket, events: POLLIN },
        { fd: executed ? (doors?.fd ?? -1) : -1, events: POLLIN },
        ...live.map(wanted),
      ]
      const wait = status === null ? null : Math.max(0, Math.ceil(drainUntil - performance.now()))
      const [signalled = 0, reported = 0, sent = 0, knocked = 0, ...moved] = poll(sources, wait)
      if (reported) onReport()
      if (sent) onMaster()
      if (knocked && start && status === null) doors?.open(start)
      for (let i = 0; i < live.length; i++) advance(live[i] as Pump, moved[i] ?? 0)
      if (signalled) onSignals()
      if (status !== null) {
        if (drainUntil === Number.POSITIVE_INFINITY) drainUntil = performance.now() + DRAIN_MILLISECONDS
        const outputs = outputsOf(pumps)
        const idle = moved.every((events) => events === 0)
        if (!reporting && (outputs.length === 0 || (idle && performance.now() >= drainUntil))) break
      }
    }
  } finally {
    ;(attached as Attached | null)?.restore()
  }
  return {
    status,
    reports,
    executed,
    passRest: () => passRest(outputsOf(pumps), signalFd),
    ...(escalated === undefined ? {} : { escalated }),
    ...(passedOn === undefined ? {} : { passedOn }),
  }
}
