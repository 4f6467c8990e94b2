/** A supervisor that is told to end, as all processes are when the machine is stopped: its container is asked to, first. */
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { kill } from "../../ffi/signal.ts"
import { openCgroup } from "../cgroup/manager.ts"
import type { Paths } from "../paths.ts"
import { DEFAULT_STOP_SECONDS, readHead, readRunning } from "./state.ts"
import { unhandled } from "./supervise.ts"

/** An end that is asked for. */
export interface GentleEnd {
  /** Milliseconds that are left to the container; null: it is not, or no more, to be killed. */
  left(): number | null
  /** They are over. */
  force(): void
}

/** Kills all of a container whose first process is `pid`, be it frozen. */
export function endAtOnce(paths: Paths, id: string, pid: number): void {
  const cgroup = readRunning(paths, id)?.cgroup
  if (cgroup) openCgroup(cgroup).kill()
  else kill(pid, SIGKILL)
}

/** Sends a container whose first process is `pid` its stop signal; one that cannot see it is not waited for. */
export function endGently(paths: Paths, id: string, pid: number): GentleEnd {
  const { stopSignal = SIGKILL, stopSeconds = DEFAULT_STOP_SECONDS } = readHead(paths, id) ?? {}
  const cgroup = readRunning(paths, id)?.cgroup
  const manager = cgroup ? openCgroup(cgroup) : null
  const deadline = performance.now() + (unhandled(pid, stopSignal) ? 0 : stopSeconds * 1000)
  let isToBeKilled = stopSeconds >= 0
  kill(pid, stopSignal)
  // The frozen take no signal.
  if (manager?.isFrozen()) manager.thaw()
  return {
    left: () => (isToBeKilled ? Math.max(0, Math.ceil(deadline - performance.now())) : null),
    force() {
      isToBeKilled = false
      endAtOnce(paths, id, pid)
    },
  }
}
