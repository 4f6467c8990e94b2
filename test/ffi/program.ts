import { failure, stageOne } from "../../ffi/call.ts"
import { type Call, PROCESS, type Slot } from "../../ffi/calls.ts"
import { CLONE_CLEAR_SIGHAND } from "../../ffi/constants/sched.ts"
import { SIGCHLD } from "../../ffi/constants/signal.ts"
import { __WALL } from "../../ffi/constants/wait.ts"
import { close, readAll } from "../../ffi/fs.ts"
import { type LayOutOptions, layOut, type Program } from "../../ffi/layout.ts"
import { mapMemory, walk } from "../../ffi/libc.ts"
import { createArena } from "../../ffi/memory.ts"
import { pipe } from "../../ffi/pipe.ts"
import { REPORT_SIZE } from "../../ffi/records.ts"
import { type WaitStatus, waitChild } from "../../ffi/signal.ts"
import { CLONE_ARGS_SIZE, cloneArgs } from "../../ffi/structs.ts"

const REGION = 4 * 1024 * 1024

/** A list that has been carried out in this process. */
export interface Walked extends Program {
  /** The index of the call that failed, or the number of calls. */
  readonly stopped: number
}

/** Lays a list out in memory of its own and carries it out here. */
export function run(calls: readonly Call[], options: Partial<LayOutOptions> = {}): Walked {
  const { base, buffer } = mapMemory(REGION)
  const program = layOut(calls, createArena(buffer, base), stageOne, { reportFd: -1, child: false, ...options })
  const stopped = program.index(walk(program.address))
  return { ...program, stopped }
}

/** The results of a list whose calls must all succeed. */
export function results(calls: readonly Call[], options: Partial<LayOutOptions> = {}): number[] {
  const walked = run(calls, options)
  if (walked.stopped < calls.length) {
    throw failure(calls[walked.stopped]?.name ?? "", -walked.errno(walked.stopped))
  }
  return calls.map((_, index) => walked.result(index))
}

/** What a child left: how it ended, and what it reported. */
export interface ChildEnd {
  readonly status: WaitStatus | null
  readonly reports: readonly { index: number; errno: number }[]
}

/** The index that a report of the first of a child's calls carries: the clone comes before it. */
export const FIRST = 1

/** Carries out a list in a child of this process, and waits for it. `make` is told where to report. */
export function runChild(
  make: (reportFd: number) => readonly Call[],
  slots: readonly (readonly [Slot, number])[] = [],
): ChildEnd {
  const [from, to] = pipe()
  return endChild(startChild(make(to), to, slots), from, to)
}

/** Lets a child carry out a list, and report to `reportFd`. */
export function startChild(
  calls: readonly Call[],
  reportFd: number,
  slots: readonly (readonly [Slot, number])[] = [],
): Walked {
  const clone: Call = {
    name: "clone3",
    args: [cloneArgs(CLONE_CLEAR_SIGHAND, SIGCHLD), CLONE_ARGS_SIZE],
    into: PROCESS,
    jump: { when: "not-equal", value: 0, skip: calls.length },
  }
  const walked = run([clone, ...calls], { reportFd, preset: slots })
  if (walked.value(PROCESS) <= 0) throw failure("clone3", -walked.errno(0))
  return walked
}

/** Waits for such a child. Closes both ends of its reports. */
export function endChild(child: Walked, from: number, to: number): ChildEnd {
  close(to)
  const bytes = readAll(from)
  close(from)
  return { status: waitChild(child.value(PROCESS), __WALL), reports: readReports(bytes) }
}

function readReports(bytes: Uint8Array): { index: number; errno: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / REPORT_SIZE }, (_, i) => ({
    index: view.getUint32(i * REPORT_SIZE, true),
    errno: view.getUint32(i * REPORT_SIZE + 4, true),
  }))
}
