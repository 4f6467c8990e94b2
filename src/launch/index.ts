/** A plan → a process. */
import { layOutAnew, stageOne } from "../../ffi/call.ts"
import { type Call, PROCESS } from "../../ffi/calls.ts"
import { close, read } from "../../ffi/fs.ts"
import { keepHeapFromChildren } from "../../ffi/heap.ts"
import type { Trace } from "../../ffi/layout.ts"
import { walk } from "../../ffi/libc.ts"
import { REPORT_SIZE, TRACE_STRIDE } from "../../ffi/records.ts"
import { fillAndSeal, sealedImage } from "../../ffi/sealed.ts"
import type { Facts } from "../plan/facts.ts"
import type { Step } from "../plan/steps.ts"
import { encodeChild, encodeSealed } from "./encode/index.ts"
import { PID_REPORT } from "./encode/process.ts"

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

/** A list of steps with its calls; kept to name the step and the call of a failure. */
export interface Encoded {
  steps: readonly Step[]
  calls: readonly Call[]
}

type Channels = Pick<Facts, "reportFd" | "traceFd" | "listenerFd" | "memfd">

/** Clones the child and lets it go as far as await-go; returns its pid. What fails in it is read from the report pipe. */
export function launch(steps: readonly Step[], { reportFd, traceFd }: Channels): Encoded & { pid: number } {
  const calls = encodeChild(steps, reportFd)
  const options = { reportFd, child: false, trace: trace(traceFd) }
  const { program } = layOutAnew(calls, stageOne, options)
  keepHeapFromChildren()
  walk(program.address)
  const pid = program.value(PROCESS)
  if (pid <= 0) throw new ListFailure(steps, calls, 0, program.errno(0))
  return { steps, calls, pid }
}

/** Puts stage two into its memfd. `base` is the number of calls in stage one: their reports share a pipe. */
export function seal(
  steps: readonly Step[],
  base: number,
  { reportFd, traceFd, listenerFd, memfd }: Channels,
): Encoded {
  const keep = [reportFd, traceFd, listenerFd].filter((fd) => fd !== undefined)
  const calls = encodeSealed(steps, reportFd, keep)
  fillAndSeal(memfd, sealedImage(calls, { reportFd, base, trace: trace(traceFd) }))
  return { steps, calls }
}

/** What came over the report pipe. */
export interface Reports {
  /** The container's process, where a helper had to make it. */
  pid?: number
  failures: { index: number; errno: number }[]
}

/** Reads what is there; false at the end, which an exec that happened or the process's death brings. */
export function readReports(fd: number, reports: Reports, traced: boolean): boolean {
  const bytes = read(fd, 512 * REPORT_SIZE)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let offset = 0; offset + REPORT_SIZE <= bytes.length; offset += REPORT_SIZE) {
    const index = view.getUint32(offset, true)
    const errno = view.getUint32(offset + 4, true)
    if (index === PID_REPORT) reports.pid = errno
    else reports.failures.push({ index: traced ? Math.floor(index / TRACE_STRIDE) : index, errno })
  }
  if (bytes.length === 0) close(fd)
  return bytes.length > 0
}
