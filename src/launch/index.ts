/** A plan → a process. */
import { layOutAnew, stageOne } from "../../ffi/call.ts"
import { type Call, PROCESS } from "../../ffi/calls.ts"
import { close, read } from "../../ffi/fs.ts"
import { REPORT_SIZE, type Trace } from "../../ffi/layout.ts"
import { walk } from "../../ffi/libc.ts"
import { fillAndSeal, sealedImage } from "../../ffi/sealed.ts"
import type { Facts } from "../plan/facts.ts"
import type { Plan, Step } from "../plan/steps.ts"
import { encodeChild, encodeSealed, encodeSteps, type Descriptors } from "./encode/index.ts"
import { PID_REPORT } from "./encode/process.ts"
import { ROOT } from "./encode/root.ts"

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

/** Mounts the root in this process, detached; returns its fd. */
export function mountRoot(steps: readonly Step[], reserved: readonly number[]): number {
  const calls = encodeSteps(steps, { report: -1, reserved })
  const { program } = layOutAnew(calls, stageOne, { reportFd: -1, child: false })
  const index = program.index(walk(program.address))
  if (index < calls.length) throw new ListFailure(steps, calls, index, program.errno(index))
  return program.value(ROOT)
}

/** The lists of a plan, encoded; kept to name the step and the call of a failure. */
export interface Encoded {
  plan: Plan
  child: readonly Call[]
  sealed: readonly Call[]
}

/** Encodes both stages. `keep` are the descriptors that survive into stage two. */
export function encode(plan: Plan, fds: Descriptors, keep: readonly number[]): Encoded {
  return { plan, child: encodeChild(plan, fds), sealed: encodeSealed(plan, fds, keep) }
}

/** Clones the child and lets it go; returns its pid. What becomes of it is read from the report pipe. */
export function launch(encoded: Encoded, rootFd: number, facts: Pick<Facts, "reportFd" | "traceFd" | "memfd">): number {
  const { child, sealed, plan } = encoded
  const { reportFd, traceFd } = facts
  fillAndSeal(facts.memfd, sealedImage(sealed, { reportFd, base: child.length, trace: trace(traceFd) }))
  const preset = [[ROOT, rootFd] as const]
  const { program } = layOutAnew(child, stageOne, { reportFd, child: false, trace: trace(traceFd), preset })
  const index = program.index(walk(program.address))
  const pid = program.value(PROCESS)
  if (pid <= 0) throw new ListFailure(plan.child, child, 0, program.errno(0))
  if (index < child.length) throw new ListFailure(plan.child, child, index, program.errno(index))
  return pid
}

/** What came over the report pipe. */
export interface Reports {
  /** The container's process, where a helper had to make it. */
  pid?: number
  failures: { index: number; errno: number }[]
}

/** Reads what is there; false at the end, which an exec that happened or the process's death brings. */
export function readReports(fd: number, reports: Reports): boolean {
  const bytes = read(fd, 512 * REPORT_SIZE)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let offset = 0; offset + REPORT_SIZE <= bytes.length; offset += REPORT_SIZE) {
    const index = view.getUint32(offset, true)
    const errno = view.getUint32(offset + 4, true)
    if (index === PID_REPORT) reports.pid = errno
    else reports.failures.push({ index, errno })
  }
  if (bytes.length === 0) close(fd)
  return bytes.length > 0
}
