/** `run`: create, start, wait and delete in one. */
import { socketPair } from "../../../ffi/pipe.ts"
import { windowSize } from "../../../ffi/tty.ts"
import { notice } from "../../log.ts"
import { supervise } from "../supervise.ts"
import type { CreateRequest } from "./bring-up.ts"
import { type Created, createContainer } from "./create.ts"
import { deleteContainer } from "./delete.ts"
import { afterStart, awaitExec, release, reportFailure } from "./start.ts"
import { unlock } from "./state.ts"

export interface RunOptions {
  /** Return once it runs. */
  detach: boolean
  /** Do not delete it when it has ended. */
  keep: boolean
}

/** Runs a bundle's container; returns its exit code, or 0 with `detach`. `signalFd` is of takeSignals. */
export async function runContainer(request: CreateRequest, options: RunOptions, signalFd: number): Promise<number> {
  const { root, id } = request
  let socket: number | null = null
  const created = await createContainer(request, ({ process }) => {
    if (!process.terminal || options.detach) return undefined
    // From the first: the command may ask before anybody could tell it.
    const size = windowSize(1) ?? windowSize(0)
    if (size) process.consoleSize = size
    const [own, containers] = socketPair()
    socket = own
    return containers
  })
  try {
    return await startAndWait(root, created, options, { signalFd, socket })
  } catch (error) {
    unlock(created.lock)
    deleteContainer(root, id, true)
    throw error
  }
}

async function startAndWait(
  root: string,
  { record, spec, lock }: Created,
  { detach, keep }: RunOptions,
  { signalFd, socket }: { signalFd: number; socket: number | null },
): Promise<number> {
  const reportFd = await release(root, record, spec)
  if (detach) {
    awaitExec(reportFd, record, spec)
    afterStart(root, record, spec)
    unlock(lock)
    return 0
  }
  const ending = supervise({
    pid: record.pid,
    signalFd,
    reportFd,
    traced: false,
    pumps: [],
    terminal: socket === null ? null : { socket, input: true, detachKeys: [], detached: () => {} },
    isInit: false,
    isExecAttempt: (index) => index >= (record.execCall ?? 0),
    onExec: () => {
      afterStart(root, record, spec)
      // Others may look at it, and end it, while it runs.
      unlock(lock)
    },
    notice,
  })
  reportFailure(ending.reports, record, spec)
  if (!keep) deleteContainer(root, record.id, true, spec)
  ending.passRest?.()
  const signal = ending.escalated ?? ending.status.signal
  return signal === undefined ? (ending.status.code ?? 0) : 128 + signal
}
