/** When a container's health is asked for. Its supervisor starts a toybox for each probe, and is told no more than its end. */
import type { WaitStatus } from "../../ffi/signal.ts"
import { closeOnExec, spawnSelf } from "../../ffi/spawn.ts"
import { environmentOf, type Paths } from "../paths.ts"
import { type HealthCheck, untilProbe } from "./health.ts"
import { readHead } from "./state.ts"

/** What toybox is called as by itself for one probe: `check-health ID STARTED`. */
export const CHECK_HEALTH = "check-health"

/** The exit code of a probe after which it is not known yet whether the container is healthy. */
export const STILL_STARTING = 10

export interface HealthMonitor {
  /** Milliseconds to the next probe; null while one runs. */
  wait(): number | null
  /** Starts a probe when it is time for one, and looks for its end among the children that have ended. */
  advance(ended: Map<number, WaitStatus>): void
}

/** Watches a container that has just been started; `started` names that start. */
export function monitorHealth(paths: Paths, id: string, started: string, check: HealthCheck): HealthMonitor {
  closeOnExec()
  const begun = performance.now()
  const since = () => performance.now() - begun
  const env = [`PATH=${process.env.PATH ?? ""}`, ...environmentOf(paths)]
  let pid = 0
  let next = begun + untilProbe(check, true, 0)
  return {
    wait: () => (pid === 0 ? Math.max(0, Math.ceil(next - performance.now())) : null),
    advance(ended) {
      const status = pid === 0 ? undefined : ended.get(pid)
      if (status) {
        ended.delete(pid)
        pid = 0
        next = performance.now() + untilProbe(check, status.code === STILL_STARTING, since())
      }
      if (pid !== 0 || performance.now() < next) return
      pid = spawnSelf(["toybox", CHECK_HEALTH, id, started], env)
      if (pid === 0) next = performance.now() + check.interval
    },
  }
}

/** That of a container whose supervisor this is; null where nothing is asked. */
export function monitorOf(paths: Paths, id: string, started: string): HealthMonitor | null {
  const check = readHead(paths, id)?.detached?.health
  return check ? monitorHealth(paths, id, started, check) : null
}
