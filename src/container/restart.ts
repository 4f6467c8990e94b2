/** What a supervisor does when its container has ended, and is to be started again. */
import { POLLIN } from "../../ffi/constants/poll.ts"
import { close } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { readSignals } from "../../ffi/signal.ts"
import type { Paths } from "../paths.ts"
import type { FileLock } from "../state-file.ts"
import { isToEnd, readAsked } from "./asked.ts"
import type { Live } from "./bring-up.ts"
import { lockChanges } from "./change-lock.ts"
import { startEntered } from "./detached.ts"
import { liveAgain } from "./new-container.ts"
import { isOfEnd } from "./own-signals.ts"
import { requestOf } from "./start-again.ts"
import { type ContainerHead, leaveRunning, readHead, readRunning, runningPath, updateRunning } from "./state.ts"

/**
 * Waits, and starts the container under a supervisor of its own, which gets the lock of the entry among the running ones.
 * Whoever wants it otherwise meanwhile kills this process, or tells it to end.
 */
export async function restartLater(
  paths: Paths,
  id: string,
  lockFd: number,
  milliseconds: number,
  signalFd: number,
): Promise<void> {
  let isTold = false
  for (const until = performance.now() + milliseconds; performance.now() < until && !isTold; ) {
    poll([{ fd: signalFd, events: POLLIN }], Math.ceil(until - performance.now()))
    isTold = readSignals(signalFd).some(isOfEnd)
  }
  const lock = { fd: lockFd, path: runningPath(paths, id) }
  const woken = isTold ? null : wake(paths, id, lock)
  if (woken === null) {
    leaveRunning(lock)
    return
  }
  const { head, live } = woken
  try {
    await startEntered(requestOf(paths, head), paths, live)
  } catch (error) {
    // Of a start that failed the end is recorded; of a request that cannot be read it is not.
    if (readRunning(paths, id)?.pid === 0) leaveRunning(lock)
    throw error
  }
}

/** What is to be started, which nobody changes any more as that of one that sleeps (withContainer); null where it is not to be. */
function wake(paths: Paths, id: string, lock: FileLock): { head: ContainerHead; live: Live } | null {
  const changes = lockChanges(paths, id)
  if (changes === null) return null
  try {
    const head = readHead(paths, id)
    const { restarts = 0, backOff, started } = readRunning(paths, id) ?? {}
    // Who has asked for it, just when it ended by itself, could not know; and its policy may be another by now.
    const isWanted = head?.detached?.restart !== undefined
    if (head === null || !isWanted || isToEnd(readAsked(paths, id, started), head.stopSignal)) return null
    const live = liveAgain(paths, head, lock)
    Object.assign(live.record, { restarts: restarts + 1, backOff })
    updateRunning(lock, live.record)
    return { head, live }
  } finally {
    close(changes)
  }
}
