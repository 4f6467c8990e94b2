/** `run`: create, start, wait and delete in one. */
import { socketPair } from "../../../ffi/pipe.ts"
import { notice } from "../../log.ts"
import { readSpec } from "../../oci/read.ts"
import { supervise } from "../supervise.ts"
import type { CreateRequest } from "./bring-up.ts"
import { type Created, createContainer, readConfigFile } from "./create.ts"
import { deleteContainer } from "./delete.ts"
import { afterStart, awaitExec, release, reportFailure } from "./start.ts"
import { unlock } from "./state.ts"

export interface RunOptions {
  /** Return once it runs. */
  detach: boolean
  /** Do not delete it when it has ended. */
  keep: boolean
}

/** A terminal of the container that is for this process: its end, and the container's. */
function ownTerminal(request: CreateRequest, { detach }: RunOptions): [number, number] | null {
  const { terminal } = readSpec(readConfigFile(request), request.bundle).process
  return terminal && request.consoleSocket === undefined && !detach ? socketPair() : null
}

/** Runs a bundle's container; returns its exit code, or 0 with `detach`. `signalFd` is of takeSignals. */
export async function runContainer(request: CreateRequest, options: RunOptions, signalFd: number): Promise<number> {
  const { root, id } = request
  const terminal = ownTerminal(request, options)
  const created = await createContainer(terminal === null ? request : { ...request, consoleSocket: terminal[1] })
  try {
    return await startAndWait(root, created, options, { signalFd, socket: terminal?.[0] ?? null })
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
  if (!keep) deleteContainer(root, record.id, true)
  ending.passRest?.()
  const signal = ending.escalated ?? ending.status.signal
  return signal === undefined ? (ending.status.code ?? 0) : 128 + signal
}
