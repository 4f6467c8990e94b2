/** A plan → a process. */
import { call, type Region, reserveRegion, stageOne, walkHere } from "../../ffi/call.ts"
import { type Call, PROCESS } from "../../ffi/calls.ts"
import { F_DUPFD_CLOEXEC } from "../../ffi/constants/fcntl.ts"
import { close, read } from "../../ffi/fs.ts"
import { keepHeapFromChildren } from "../../ffi/heap.ts"
import type { Program, Trace } from "../../ffi/layout.ts"
import { walk } from "../../ffi/libc.ts"
import { REPORT_SIZE, TRACE_STRIDE } from "../../ffi/records.ts"
import { fillAndSeal, sealedImage } from "../../ffi/sealed.ts"
import { isChild } from "../../ffi/signal.ts"
import { type Facts, keptBySealed } from "../plan/facts.ts"
import type { Step } from "../plan/steps.ts"
import { encodeChild, encodeFurther, encodeSealed, encodeSteps } from "./encode/index.ts"
import { MOMENT_REPORT } from "./encode/lifecycle.ts"
import { OVERLAY_DIRECTORIES, ROOT } from "./encode/root.ts"
import { PID_REPORT } from "./encode/sibling.ts"
import type { Supervisor } from "./encode/supervisor.ts"

/** A list stopped; report.ts makes the words, which are loaded only then. */
export class ListFailure extends Error {
  readonly steps: readonly Step[]
  readonly calls: readonly Call[]
  readonly index: number
  readonly errno: number

  constructor(steps: readonly Step[], calls: readonly Call[], index: number, errno: number) {
    super(`call ${index} failed: errno ${errno}`)
    this.steps = steps
    this.calls = calls
    this.index = index
    this.errno = errno
  }
}

const trace = (fd: number | undefined): Trace | undefined => (fd === undefined ? undefined : { fd })

// Below, the list opens files of its own.
const FIRST_FREE = 64

/** Mounts the root in this process, detached; returns its fd. Throws SyscallError and ListFailure. */
export function mountRoot(steps: readonly Step[]): number {
  // Numbers that nothing has, of what is open already: the list puts its own there.
  const free: number[] = []
  const reserve = () => free.push(call("fcntl", 2, F_DUPFD_CLOEXEC, FIRST_FREE))
  try {
    if (steps.some(({ kind }) => kind === "overlay")) for (const _ of OVERLAY_DIRECTORIES) reserve()
    const calls = encodeSteps(steps, { report: -1, free })
    const { program, index } = walkHere(calls, "anew")
    if (index < calls.length) throw new ListFailure(steps, calls, index, program.errno(index))
    return program.value(ROOT)
  } finally {
    for (const fd of free) close(fd)
  }
}

/** A list of steps with its calls; kept to name the step and the call of a failure. */
export interface Encoded {
  steps: readonly Step[]
  calls: readonly Call[]
}

type Channels = Pick<Facts, "reportFd" | "traceFd" | "listenerFd" | "memfd" | "startFd" | "enterFds" | "passedFds">

/** A clone's list, and the child's pid; with a supervisor that is the supervisor's. */
export interface Launched extends Encoded {
  pid: number
}

/**
 * Clones the child, which carries out the steps; what fails in it is read from the report pipe. `rootFd`: a root that this
 * process has mounted. With a `supervisor` the child is one's, and its own pid is reported.
 */
export const launch = (
  steps: readonly Step[],
  channels: Channels,
  rootFd?: number,
  supervisor?: Supervisor,
): Launched => {
  const { launched, region } = begin(steps, channels, rootFd, supervisor)
  region.free()
  return launched
}

function begin(
  steps: readonly Step[],
  { reportFd, traceFd }: Channels,
  rootFd?: number,
  supervisor?: Supervisor,
  further?: number,
): { launched: Launched; program: Program; region: Region } {
  const calls = encodeChild(steps, reportFd, supervisor, further)
  const preset = rootFd === undefined ? [] : [[ROOT, rootFd] as const]
  const options = { reportFd, child: false, trace: trace(traceFd), preset }
  const region = reserveRegion()
  const { program } = region.layOut(calls, stageOne, options)
  keepHeapFromChildren()
  walk(program.address)
  const pid = program.value(PROCESS)
  if (pid <= 0) throw new ListFailure(steps, calls, 0, program.errno(0))
  return { launched: { steps, calls, pid }, program, region }
}

/** A child that waits, at the end of its opening steps, for the rest of its list. */
export interface Opened extends Launched {
  /** Lays out the rest, beside the child; the word that it may go on is the caller's to give. Returns the whole list. */
  goOn(further: readonly Step[]): Encoded
}

/** As launch, of steps that end with a wait; what comes after it is laid out while the child is under way to there. */
export function launchOpening(
  steps: readonly Step[],
  channels: Channels,
  rootFd?: number,
  supervisor?: Supervisor,
): Opened {
  // The child, which has a copy of all else, sees what is written here.
  const region = reserveRegion(true)
  const { launched, program } = begin(steps, channels, rootFd, supervisor, region.base)
  return {
    ...launched,
    goOn(further) {
      const calls = encodeFurther(further, channels.reportFd, steps.length)
      const options = { reportFd: channels.reportFd, child: true, trace: trace(channels.traceFd) }
      region.layOut(calls, stageOne, { ...options, base: launched.calls.length, after: program })
      return { steps: [...steps, ...further], calls: [...launched.calls, ...calls] }
    },
  }
}

/** Puts stage two into its memfd. `base` is the number of calls in stage one: their reports share a pipe. */
export function seal(steps: readonly Step[], base: number, channels: Channels): Encoded {
  const { reportFd, traceFd, memfd, passedFds } = channels
  const calls = encodeSealed(steps, reportFd, keptBySealed(channels), passedFds)
  fillAndSeal(memfd, sealedImage(calls, { reportFd, base, trace: trace(traceFd) }))
  return { steps, calls }
}

/** What came over the report pipe. */
export interface Reports {
  /** The container's process, where a helper had to make it. */
  pid?: number
  /** Moments that have come: see `sync` of plan/steps.ts. */
  moments?: number[]
  failures: { index: number; errno: number }[]
  /** The process is the child of a supervisor, and not this one's. */
  supervised?: true
}

/**
 * Reads what is there; false at the end, which an exec that happened or the process's death brings. Who may trace what joins his
 * container can write there, too: a process that is not this one's is not believed to be meant, and nothing is done to it.
 */
export function readReports(fd: number, reports: Reports, traced: boolean): boolean {
  const bytes = read(fd, 512 * REPORT_SIZE)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let offset = 0; offset + REPORT_SIZE <= bytes.length; offset += REPORT_SIZE) {
    const index = view.getUint32(offset, true)
    const errno = view.getUint32(offset + 4, true)
    if (index === PID_REPORT) {
      if (reports.supervised || isChild(errno)) reports.pid = errno
    } else if (index === MOMENT_REPORT) reports.moments = [...(reports.moments ?? []), errno]
    else reports.failures.push({ index: traced ? Math.floor(index / TRACE_STRIDE) : index, errno })
  }
  if (bytes.length === 0) close(fd)
  return bytes.length > 0
}
