/** The end of a detached container, as its supervisor sees it. */

import { SIGKILL } from "../../ffi/constants/signal.ts"
import { unlink } from "../../ffi/fs.ts"
import type { WaitStatus } from "../../ffi/signal.ts"
import { type CgroupManager, openCgroup } from "../cgroup/manager.ts"
import type { Paths } from "../paths.ts"
import { ageOf } from "./age.ts"
import { type Asked, isKill, isToEnd, readAsked } from "./asked.ts"
import { attachPath } from "./attach-protocol.ts"
import { cleanUp } from "./clean-up.ts"
import { backOff, restartsAfter } from "./restart-policy.ts"
import { type Description, describeEnding, describeOverdue, resultOf } from "./result.ts"
import {
  type ContainerHead,
  containerPath,
  type RunningRecord,
  readHead,
  readRunning,
  runningPath,
  updateRunning,
} from "./state.ts"
import type { Ending } from "./supervise.ts"

const LOST = "its toybox in the foreground was gone: its terminal was closed, or it was killed"

/** Whether its policy starts it again; then after how many milliseconds, else null. */
function restartIn(
  { detached, stopSignal }: ContainerHead,
  running: RunningRecord,
  exitCode: number,
  told: Asked | null,
): number | null {
  const policy = detached?.restart
  const { restarts = 0, backOff: before } = running
  if (policy === undefined) return null
  if (!restartsAfter(policy, { exitCode, asked: isToEnd(told, stopSignal), restarts })) return null
  return backOff(before, ageOf(running))
}

/** What the toybox in the foreground, with which a container ends, has brought upon it last. */
export interface Foreground {
  /** The signal to end that it was sent. */
  signal: number
  /** The command would never have seen that: it was killed. */
  deaf: boolean
  /** That toybox has gone without a word. */
  lost: boolean
}

/** What its supervisor has seen of the end. */
export interface Seen {
  status: WaitStatus
  /** The signal that has told the supervisor itself to end. */
  told: number | null
  /** It was killed because it had run for so many seconds. */
  overdue: number | null
  foreground: Foreground | null
}

function endingOf({ status, told, foreground }: Seen): Ending {
  const ending: Ending = { status, reports: { failures: [] }, executed: true }
  if (told !== null) return { ...ending, passedOn: told }
  if (foreground === null) return ending
  const passed = { ...ending, passedOn: foreground.signal, fromForeground: true } as const
  // It may have ended by itself before the signal came.
  return foreground.deaf && status.signal === SIGKILL ? { ...passed, escalated: foreground.signal } : passed
}

function describe(seen: Seen, ending: Ending, manager: CgroupManager | null, asked: Asked | null): Description {
  if (seen.overdue !== null) return describeOverdue(seen.overdue)
  const told = describeEnding(ending, manager, isKill(asked))
  return seen.foreground?.lost && ending.escalated !== undefined ? { ...told, error: LOST } : told
}

/**
 * Records how it ended and gives back what it held, or removes it (--rm). Returns the exit code, what there is to say of
 * it, and where it is to be started again, in how many milliseconds: it stays among the running ones then.
 */
export async function finish(
  paths: Paths,
  id: string,
  lockFd: number,
  seen: Seen,
): Promise<{ exitCode: number; message: string; restartIn: number | null }> {
  const record = readRunning(paths, id)
  if (record === null) throw new Error(`container ${id} has no record of its run`)
  const manager = record.cgroup ? openCgroup(record.cgroup) : null
  const ending = endingOf(seen)
  const asked = readAsked(paths, id, record.started)
  const description = describe(seen, ending, manager, asked)
  const head = readHead(paths, id)
  const live = {
    id,
    directory: containerPath(paths, id),
    lock: { fd: lockFd, path: runningPath(paths, id) },
    record,
    recorded: true,
    head: null,
    root: null,
    places: [],
    held: [],
    mounting: new Map(),
    manager,
    ended: false,
    actor: head,
    outcome: description,
    pidFile: undefined,
  }
  const result = record.autoRemove ? null : resultOf(ending, record, manager, description)
  unlink(attachPath(paths, id))
  const { exitCode } = description
  const milliseconds = head && result && seen.told === null ? restartIn(head, record, exitCode, asked) : null
  await cleanUp(paths, live, result, milliseconds !== null)
  if (milliseconds !== null) {
    const { cgroup: _, networks: __, executed: ___, ports: ____, forwarded: _____, ...kept } = record
    updateRunning(live.lock, { ...kept, pid: 0, startTime: "", cgroup: null, restarting: true, backOff: milliseconds })
  }
  return { exitCode, message: description.message ?? "", restartIn: milliseconds }
}
