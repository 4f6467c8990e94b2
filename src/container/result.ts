/** How a container ended, in a code and in words. */
import type { CgroupManager } from "../cgroup/manager.ts"
import type { ContainerResult, RunningRecord } from "./state.ts"
import type { Ending } from "./supervise.ts"

const SIGKILL = 9
const SIGSYS = 31

const BAD_CALL =
  "ended by a system call that its seccomp filter does not allow (a program of 32 bits? see --security-opt seccomp=builtin)"

/** Of an end that nobody has seen. */
export const TOYBOX_KILLED = "toybox itself was killed"

const mebibytes = (bytes: number) => `${Number((bytes / 2 ** 20).toFixed(1))} MiB`

export interface Description {
  exitCode: number
  signal?: number
  oomKilled: boolean
  /** For the user, where the code alone would leave a question. */
  message?: string
  /** Who or what has ended it, where nothing else tells. */
  error?: string
}

/** The end of one that had run for all the seconds of its --timeout. Podman's exit code. */
export function describeOverdue(seconds: number): Description {
  const error = `it had run for all of its --timeout of ${seconds} s`
  return { exitCode: 255, signal: SIGKILL, oomKilled: false, message: `killed: ${error}`, error }
}

/** Exit code, and what there is to say; `killed` tells that toybox was asked to kill it. */
export function describeEnding(
  { status, escalated }: Ending,
  manager: CgroupManager | null,
  killed = false,
): Description {
  const signal = escalated ?? status.signal
  const exitCode = signal === undefined ? (status.code ?? 0) : 128 + signal
  const base = { exitCode, ...(signal === undefined ? {} : { signal }) }
  const kills = manager?.oomKills() ?? 0
  if (kills === 0) return { ...base, oomKilled: false, ...(signal === SIGSYS ? { message: BAD_CALL } : {}) }
  // As docker has it, any process counts; of one that is no failure of the container nobody need be told.
  if (exitCode === 0) return { ...base, oomKilled: true }
  const limit = manager?.memoryLimit() ?? null
  const why = `killed: out of memory${limit === null ? "" : ` (limit ${mebibytes(limit)})`}`
  return {
    ...base,
    oomKilled: true,
    // What the kernel has killed was another process of it then, before.
    message: exitCode === 128 + SIGKILL && !killed ? why : `a process of the container was ${why}`,
  }
}

/** The record of a container's end. Its cgroup is still there. */
export function resultOf(ending: Ending, record: RunningRecord, manager: CgroupManager | null, told: Description) {
  const { started, executed, obtainedMs } = record
  const { exitCode, signal, oomKilled } = told
  const result: ContainerResult = { exitCode, oomKilled, started, finished: new Date().toISOString() }
  if (signal !== undefined) result.signal = signal
  if (told.error !== undefined) result.error = told.error
  if (executed !== undefined) result.executed = executed
  if (obtainedMs !== undefined) result.obtainedMs = obtainedMs
  if (ending.passedOn !== undefined) result.passedOn = ending.passedOn
  if (ending.fromForeground) result.fromForeground = true
  if (record.restarts !== undefined) result.restarts = record.restarts
  if (manager) result.usage = manager.finalUsage()
  return result
}
