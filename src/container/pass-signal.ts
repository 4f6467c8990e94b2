/** Signals to an attached toybox that are for the command of its container. */
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { isNew } from "../plan/namespaces.ts"
import { PASSED } from "./attach-protocol.ts"
import { NotRunning } from "./running.ts"
import { NoSuchContainer, readRecord, readRunning } from "./state.ts"
import { beginKill, signalProcess } from "./stop.ts"
import { ENDING, unhandled, unheard } from "./supervise.ts"

/** Whether the command of a container, as PID 1 without a handler, would never see a signal that asks it to end. */
export function isDeaf(paths: Paths, id: string, signal: number): boolean {
  const running = readRunning(paths, id)
  const spec = ENDING.has(signal) && readRecord(paths, id)?.spec
  return Boolean(running && spec && isNew(spec, "pid") && unhandled(running.pid, signal))
}

/** Sends a signal to a container, unless it is at its end already, which its supervisor is about to tell. */
export function sendSignal(paths: Paths, id: string, signal: number): void {
  try {
    beginKill(paths, id, signal)
  } catch (error) {
    if (!(error instanceof NotRunning || error instanceof NoSuchContainer)) throw error
  }
}

/**
 * Passes a signal on to a container that ends with this toybox, and tells its supervisor by `tell`; one that the command would
 * never see ends it, and is returned.
 */
export function passOn(paths: Paths, id: string, signal: number, tell: (message: Uint8Array) => void): number | null {
  const running = readRunning(paths, id)
  // It has just ended.
  if (!running) return null
  const deaf = isDeaf(paths, id, signal)
  // First, for the end is told by the supervisor.
  if (ENDING.has(signal)) tell(Uint8Array.of(PASSED, signal, deaf ? 1 : 0))
  signalProcess(running, deaf ? SIGKILL : signal)
  if (deaf) notice(unheard(signal))
  return deaf ? signal : null
}
