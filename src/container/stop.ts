/** Ending, signalling, pausing and awaiting containers that run. */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { IN_CLOEXEC, IN_DELETE, IN_NONBLOCK } from "../../ffi/constants/inotify.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { close } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { openCgroup } from "../cgroup/manager.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { noteAsked } from "./asked.ts"
import { endProcess } from "./end-process.ts"
import { recordEvents } from "./events.ts"
import { recover } from "./recover.ts"
import { isAlive, type RunningRecord, readHead, readRunning, resolveId } from "./state.ts"
import { unhandled } from "./supervise.ts"

const ESRCH = -3
// A toybox that was killed removes no entry: after the container's end it is looked after so often.
const LOOK_EVERY = 50
const PATIENCE = 10_000

/**
 * Waits until a container runs no more and is cleaned up; false after `milliseconds` (null: never), and where the run that was
 * `started` then has ended, and its policy starts another. inotify(7), pidfd_open(2).
 */
export function waitEnd(paths: Paths, id: string, milliseconds: number | null, started?: string): boolean {
  const deadline = milliseconds === null ? Number.POSITIVE_INFINITY : performance.now() + milliseconds
  const changes = call("inotify_init1", IN_CLOEXEC | IN_NONBLOCK)
  let pidFd = -1
  try {
    call("inotify_add_watch", changes, paths.running, IN_DELETE)
    for (let dead = false; ; ) {
      const running = readRunning(paths, id)
      if (!running) return true
      if (started !== undefined && isOther(running, started)) return false
      if (pidFd < 0 && !dead) pidFd = running.pid > 0 ? callResult("pidfd_open", running.pid, 0) : -1
      // Ended, or not there yet: who has it in hand may have been killed.
      if (dead || pidFd < 0) recover(paths)
      const left = Math.min(deadline - performance.now(), dead || pidFd < 0 ? LOOK_EVERY : Number.POSITIVE_INFINITY)
      if (deadline <= performance.now()) return false
      const sources = [changes, dead ? -1 : pidFd].map((fd) => ({ fd, events: POLLIN }))
      const [, ended] = poll(sources, Number.isFinite(left) ? Math.ceil(left) : null)
      if (ended) dead = true
      callResult("read", changes, scratch.address, SCRATCH_SIZE)
    }
  } finally {
    close(changes)
    if (pidFd >= 0) close(pidFd)
  }
}

const isOther = (running: RunningRecord, started: string) => running.restarting || running.started !== started

/** Signals the very process that the record means, even should it end meanwhile; false where it has: pidfd_send_signal(2). */
export function signalRunning(running: RunningRecord, number: number): boolean {
  const pidFd = callResult("pidfd_open", running.pid, 0)
  if (pidFd < 0) return false
  try {
    if (!isAlive(running)) return false
    const result = callResult("pidfd_send_signal", pidFd, number, null, 0)
    if (result < 0 && result !== ESRCH) throw failure("pidfd_send_signal", result, running.pid, number)
    return result === 0
  } finally {
    close(pidFd)
  }
}

/** Ends the supervisor of a container that waits to be started again. */
export const endRestarting = ({ supervisor }: RunningRecord): void => endProcess(supervisor)

function find(paths: Paths, reference: string): { id: string; running: RunningRecord | null } {
  recover(paths)
  const id = resolveId(paths, reference)
  return { id, running: readRunning(paths, id) }
}

function findRunning(paths: Paths, reference: string): { id: string; running: RunningRecord } {
  const { id, running } = find(paths, reference)
  if (!running || !isAlive(running))
    throw new ToyboxError(`container ${reference} is not running`, { hint: "toybox ps lists those that run" })
  return { id, running }
}

/**
 * Its stop signal (or `number`), and after `seconds` SIGKILL for all of it; that signal then, null where it ended by itself.
 * One that does not run is none to stop.
 */
export function stopContainer(
  paths: Paths,
  reference: string,
  seconds: number,
  number: number | null,
): { unheeded: number; unhandled: boolean } | null {
  const { id, running } = find(paths, reference)
  if (!running) return null
  if (running.restarting) {
    noteAsked(paths, id, running, { command: "stop", signal: SIGKILL })
    endRestarting(running)
    recover(paths)
    // It may have been about to start it.
    return readRunning(paths, id) ? stopContainer(paths, reference, seconds, number) : null
  }
  const manager = running.cgroup ? openCgroup(running.cgroup) : null
  const head = readHead(paths, id)
  const first = number ?? head?.stopSignal ?? SIGKILL
  const unseen = first !== SIGKILL && unhandled(running.pid, first)
  const asked = { command: "stop", signal: first, ...(unseen ? { unhandled: true } : {}) } as const
  noteAsked(paths, id, running, asked)
  signalRunning(running, first)
  // The frozen take no signal.
  if (manager?.isFrozen()) manager.thaw()
  const stopped = () => {
    if (head) recordEvents(paths, head, ["stop"])
  }
  if (waitEnd(paths, id, seconds * 1000, running.started)) {
    stopped()
    return null
  }
  const last = readRunning(paths, id)
  if (last && isOther(last, running.started)) return stopContainer(paths, reference, seconds, number)
  if (last) noteAsked(paths, id, last, { ...asked, killedAfter: seconds })
  if (last?.cgroup) openCgroup(last.cgroup).kill()
  else if (last) signalRunning(last, SIGKILL)
  if (!waitEnd(paths, id, PATIENCE)) throw new ToyboxError(`container ${reference} does not end`)
  stopped()
  return { unheeded: first, unhandled: unseen }
}

/** Sends a signal to a container's first process. Throws where it does not run. */
export function killContainer(paths: Paths, reference: string, number: number): void {
  const { id, running } = findRunning(paths, reference)
  noteAsked(paths, id, running, { command: "kill", signal: number })
  if (!signalRunning(running, number)) throw new ToyboxError(`container ${reference} has ended`)
  const head = readHead(paths, id)
  if (head) recordEvents(paths, head, ["kill", { signal: String(number) }])
  if (number === SIGKILL && running.cgroup) {
    const manager = openCgroup(running.cgroup)
    if (manager.isFrozen()) manager.thaw()
  }
}

/** Stops the processes of a container where they are, or lets them go on. Throws where there is nothing to do. */
export function setPaused(paths: Paths, reference: string, paused: boolean): void {
  const { id, running } = findRunning(paths, reference)
  if (!running.cgroup) throw new ToyboxError(`container ${reference} has no cgroup`)
  const manager = openCgroup(running.cgroup)
  if (manager.isFrozen() === paused)
    throw new ToyboxError(`container ${reference} is ${paused ? "paused already" : "not paused"}`)
  if (paused) manager.freeze()
  else manager.thaw()
  const head = readHead(paths, id)
  if (head) recordEvents(paths, head, [paused ? "pause" : "unpause"])
}
