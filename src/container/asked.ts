/** What toybox was asked to do to a container that ended then; kept beside its result, for `toybox why`. */
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { isErrno } from "../../ffi/errno.ts"
import { replaceFile } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import { readJson } from "../state-file.ts"
import { containerPath, type RunningRecord } from "./state.ts"

/** containers/ID/asked.json. */
export interface Asked {
  command: "stop" | "kill"
  signal: number
  /** The signal was not seen by a PID 1 without a handler for it: pid_namespaces(7). */
  unhandled?: boolean
  /** It took no notice of the signal in so many seconds, and all of it was killed. */
  killedAfter?: number
  /** It had ended by itself before, and waited to be started again: that it is not is all that was asked. */
  waiting?: true
  /** Not by anybody: its health check has found it unhealthy, and its policy may start it again. */
  health?: true
  /** When the run was started, of which it was asked: that names it, whatever the clock has been set to since. */
  started: string
  /** ISO 8601. */
  at: string
}

const path = (paths: Paths, id: string) => `${containerPath(paths, id)}/asked.json`

/** Notes what is about to be done to a run. */
export function noteAsked(
  paths: Paths,
  id: string,
  { started }: Pick<RunningRecord, "started">,
  asked: Omit<Asked, "at" | "started">,
): void {
  try {
    replaceFile(path(paths, id), JSON.stringify({ ...asked, started, at: new Date().toISOString() }))
  } catch (error) {
    // A note is no reason not to stop a container; on a full disk least of all. One that removes itself may be gone.
    if (!isErrno(error, "ENOENT", "ENOSPC", "EDQUOT", "EROFS")) throw error
  }
}

/** What was asked of the run that was started then, if anything. */
export function readAsked(paths: Paths, id: string, started: string | undefined): Asked | null {
  const asked = readJson<Asked>(path(paths, id))
  return started !== undefined && asked?.started === started ? asked : null
}

/** Whether toybox was to kill it at once, or did in the end. */
export const isKill = (asked: Asked | null): boolean =>
  asked !== null && (asked.signal === SIGKILL || asked.killedAfter !== undefined)

/** Whether it was meant to end, and not to be started again by its policy. */
export const isToEnd = (asked: Asked | null, stopSignal: number): boolean =>
  asked !== null &&
  !asked.health &&
  (asked.command === "stop" || asked.signal === SIGKILL || asked.signal === stopSignal)
