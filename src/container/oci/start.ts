/** `start`: lets a created container go on to its command. */
import { callResult } from "../../../ffi/call.ts"
import { O_NONBLOCK, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { POLLIN } from "../../../ffi/constants/poll.ts"
import { errnoName } from "../../../ffi/errno.ts"
import { close, open, unlink } from "../../../ffi/fs.ts"
import { poll } from "../../../ffi/poll.ts"
import { errorChain, ToyboxError } from "../../errors.ts"
import { type Reports, readReports } from "../../launch/index.ts"
import { notice } from "../../log.ts"
import type { Spec } from "../../oci/runtime.ts"
import { commandError } from "./command-error.ts"
import { endProcesses } from "./delete.ts"
import { runHooks } from "./hooks.ts"
import type { OciRecord } from "./record.ts"
import {
  lockContainer,
  ociState,
  openStart,
  readConfig,
  readRecord,
  reportFifo,
  startFifo,
  statusOf,
  unlock,
} from "./state.ts"

const endedBefore = (id: string) => new ToyboxError(`container ${id} has ended before it was started`)

/**
 * Gives the word to a created container; returns where the failures of its exec are reported, which ends with an exec that
 * happened. Throws where the container does not wait.
 */
export async function release(root: string, record: OciRecord, spec: Spec): Promise<number> {
  const { id } = record
  if (spec.process.args.length === 0) {
    throw new ToyboxError("config.json: process: is missing", { hint: "without one a container cannot be started" })
  }
  const startFd = openStart(root, id)
  if (startFd === null) throw endedBefore(id)
  const reportFd = open(reportFifo(root, id), O_RDONLY | O_NONBLOCK)
  try {
    if (spec.hooks?.startContainer?.length) await (await import("./start-hooks.ts")).runStartHooks(root, record, spec)
    if (callResult("write", startFd, new Uint8Array(1), 1) !== 1) throw endedBefore(id)
  } catch (error) {
    close(reportFd)
    // A container whose hook has failed never starts.
    endProcesses(record)
    throw error
  } finally {
    close(startFd)
  }
  return reportFd
}

/** What comes after the exec. A poststart hook that fails is told, and changes nothing. */
export function afterStart(root: string, record: OciRecord, spec: Spec): void {
  unlink(startFifo(root, record.id))
  unlink(reportFifo(root, record.id))
  for (const hook of spec.hooks?.poststart ?? []) {
    try {
      runHooks("poststart", [hook], ociState(record, "running"))
    } catch (error) {
      notice(errorChain(error))
    }
  }
}

/** Reads reports to their end. Throws the error of a command that could not be executed. */
export function awaitExec(reportFd: number, record: OciRecord, spec: Spec): void {
  const reports: Reports = { failures: [] }
  for (let more = true; more; ) {
    const [events] = poll([{ fd: reportFd, events: POLLIN }], null)
    if (events) more = readReports(reportFd, reports, false)
  }
  reportFailure(reports, record, spec)
}

/** Throws the error that the reports of a start tell of, if any. */
export function reportFailure({ failures }: Reports, { execCall = 0 }: OciRecord, spec: Spec): void {
  const before = failures.find(({ index }) => index < execCall)
  // All that comes between the word and the exec.
  if (before) throw new ToyboxError(`cannot load the filter of linux.seccomp: ${errnoName(before.errno)}`)
  // The last report is of the list's end, which comes only where no candidate could be executed.
  if (failures.at(-1)?.errno !== 0) return
  throw commandError(
    spec.process,
    failures.map(({ errno }) => errno).filter((errno) => errno !== 0),
  )
}

/** Starts a created container. Throws ToyboxError where it is none, or where its command cannot be executed. */
export async function startContainer(root: string, id: string): Promise<void> {
  const lock = lockContainer(root, id)
  try {
    const record = readRecord(root, id)
    const status = statusOf(root, record)
    if (status === "stopped") throw new ToyboxError(`cannot start a container that has stopped: ${id}`)
    if (status === "paused")
      throw new ToyboxError(`cannot start a paused container: ${id}`, { hint: "resume it first" })
    if (status !== "created") throw new ToyboxError(`cannot start an already running container: ${id}`)
    const spec = readConfig(root, record)
    awaitExec(await release(root, record, spec), record, spec)
    afterStart(root, record, spec)
  } finally {
    unlock(lock)
  }
}
