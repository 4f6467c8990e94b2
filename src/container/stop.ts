/** Ending, signalling, pausing and awaiting containers that run. */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { IN_CLOEXEC, IN_DELETE, IN_NONBLOCK } from "../../ffi/constants/inotify.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { SIGKILL, SIGTERM } from "../../ffi/constants/signal.ts"
import { close } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { openCgroup } from "../cgroup/manager.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { type Asked, noteAsked } from "./asked.ts"
import { endProcess } from "./end-process.ts"
import { recordEvents } from "./events.ts"
import { recover } from "./recover.ts"
import { NotRunning } from "./running.ts"
import { isLeftPaused, whileNotStill } from "./standstill.ts"
import {
  DEFAULT_STOP_SECONDS,
  isAlive,
  type RunningRecord,
  readHead,
  readRunning,
  resolveId,
  runningIds,
  startTime,
} from "./state.ts"
import { unhandled } from "./supervise.ts"
import { isUp } from "./while-up.ts"

const ESRCH = -3
// A toybox that was killed removes no entry: after the container's end it is looked after so often.
const LOOK_EVERY = 50
const SETTLE_EVERY = 5
const PATIENCE = 10_000
const RETELL_EVERY = 200

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

/** Whether the run that was `started` then has ended, and its policy, or somebody, starts another. */
export const isOther = (running: RunningRecord, started: string | undefined): boolean =>
  running.restarting === true || running.started !== started

/** Signals the very process that a record names, even should it end meanwhile; false where it has: pidfd_send_signal(2). */
export function signalProcess(named: { pid: number; startTime: string } | undefined, number: number): boolean {
  const pidFd = named && named.pid > 0 ? callResult("pidfd_open", named.pid, 0) : -1
  if (!named || pidFd < 0) return false
  try {
    if (startTime(named.pid) !== named.startTime) return false
    const result = callResult("pidfd_send_signal", pidFd, number, null, 0)
    if (result < 0 && result !== ESRCH) throw failure("pidfd_send_signal", result, named.pid, number)
    return result === 0
  } finally {
    close(pidFd)
  }
}

/** Ends the supervisor of a container that waits to be started again. */
export const endRestarting = ({ supervisor }: RunningRecord): void => endProcess(supervisor)

/** Keeps a container that waits for it from being started again; false where its supervisor has begun to start it. */
function cancelRestart(paths: Paths, id: string, running: RunningRecord, command: Asked["command"]): boolean {
  noteAsked(paths, id, running, { command, signal: SIGKILL, waiting: true })
  endRestarting(running)
  recover(paths)
  return readRunning(paths, id) === null
}

function find(paths: Paths, reference: string): { id: string; running: RunningRecord | null } {
  recover(paths)
  const id = resolveId(paths, reference)
  return { id, running: readRunning(paths, id) }
}

/** As find; one that is just being started, or has just ended, and may be started again, is waited for. */
function findSettled(
  paths: Paths,
  reference: string,
  isSettled: (running: RunningRecord) => boolean,
): ReturnType<typeof find> {
  const { id, running: first } = find(paths, reference)
  let running = first
  for (const deadline = performance.now() + PATIENCE; running && !running.restarting && !isSettled(running); ) {
    if (performance.now() > deadline) break
    Bun.sleepSync(SETTLE_EVERY)
    recover(paths)
    running = readRunning(paths, id)
  }
  return { id, running }
}

function findRunning(paths: Paths, reference: string): { id: string; running: RunningRecord } {
  const { id, running } = find(paths, reference)
  if (!running || !isAlive(running)) throw new NotRunning(reference, running)
  return { id, running }
}

/** How a container is to be stopped; null stands for what it was made with. */
export interface StopWish {
  /** -1: it is never killed. */
  seconds: number | null
  signal: number | null
}

/** One that did not mind its stop signal for so many seconds, and was killed; `unhandled`: it could not see it. */
export interface Killed {
  unheeded: number
  unhandled: boolean
  seconds: number
}

/**
 * Sends a container its stop signal. What it returns waits, and after those seconds sends SIGKILL to all of it; null where it
 * ended by itself. One that does not run is none to stop.
 */
export function beginStop(paths: Paths, reference: string, wish: StopWish): () => Killed | null {
  // Before that nothing minds a signal but SIGKILL.
  const { id, running } = findSettled(paths, reference, isUp)
  if (!running) return () => null
  if (running.restarting)
    return cancelRestart(paths, id, running, "stop") ? () => null : beginStop(paths, reference, wish)
  const head = readHead(paths, id)
  const tell = (...event: Parameters<typeof recordEvents>[2]) => {
    if (head) recordEvents(paths, head, event)
  }
  const signal = wish.signal ?? head?.stopSignal ?? SIGKILL
  const seconds = wish.seconds ?? head?.stopSeconds ?? DEFAULT_STOP_SECONDS
  const unseen = signal !== SIGKILL && unhandled(running.pid, signal)
  const asked = { command: "stop", signal, ...(unseen ? { unhandled: true } : {}) } as const
  noteAsked(paths, id, running, asked)
  const begun = performance.now()
  // First, for its end is told by another.
  if (isAlive(running)) tell("kill", { signal: String(signal) })
  signalProcess(running, signal)
  // The frozen take no signal.
  const manager = running.cgroup ? openCgroup(running.cgroup) : null
  if (manager?.isFrozen()) manager.thaw()
  const end = (): Killed | null => {
    const left = seconds < 0 ? null : Math.max(0, begun + seconds * 1000 - performance.now())
    if (waitEnd(paths, id, left, running.started)) return null
    const last = readRunning(paths, id)
    if (last && isOther(last, running.started)) return stopContainer(paths, reference, wish)
    if (last) {
      noteAsked(paths, id, last, { ...asked, killedAfter: seconds })
      tell("kill", { signal: String(SIGKILL) })
    }
    if (last?.cgroup) openCgroup(last.cgroup).kill()
    else if (last) signalProcess(last, SIGKILL)
    if (!waitEnd(paths, id, PATIENCE)) throw new ToyboxError(`container ${reference} does not end`)
    return { unheeded: signal, unhandled: unseen, seconds }
  }
  return () => {
    const killed = end()
    tell("stop")
    return killed
  }
}

/** As beginStop, to its end. */
export const stopContainer = (paths: Paths, reference: string, wish: StopWish): Killed | null =>
  beginStop(paths, reference, wish)()

/**
 * Ends those that are to be started again with the machine, as it goes down: their supervisors stop them, which nobody has asked
 * for then, all at the same time.
 */
export function stopWithMachine(paths: Paths): void {
  recover(paths)
  const ids = runningIds(paths).filter((id) => readHead(paths, id)?.detached?.restart !== undefined)
  const told = new Map(ids.map((id) => [id, tellSupervisor(paths, id)]))
  for (const id of ids) {
    const seconds = readHead(paths, id)?.stopSeconds ?? DEFAULT_STOP_SECONDS
    const deadline = seconds < 0 ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1000 + PATIENCE
    // One that was just starting it again has left it to another by now, who does not know.
    while (!waitEnd(paths, id, Math.min(RETELL_EVERY, deadline - performance.now())) && performance.now() < deadline)
      if (readRunning(paths, id)?.supervisor?.pid !== told.get(id)) told.set(id, tellSupervisor(paths, id))
  }
}

/** Returns who was told; undefined where there is none. */
function tellSupervisor(paths: Paths, id: string): number | undefined {
  const supervisor = readRunning(paths, id)?.supervisor
  signalProcess(supervisor, SIGTERM)
  return supervisor?.pid
}

/**
 * Sends a signal to a container's first process. What it returns waits for the end, where the signal is SIGKILL, which keeps one
 * that waits to be started again from that. Throws where it does not run, or does not end.
 */
export function beginKill(paths: Paths, reference: string, number: number): () => void {
  const { id, running } = number === SIGKILL ? findSettled(paths, reference, isAlive) : find(paths, reference)
  if (number === SIGKILL && running?.restarting)
    return cancelRestart(paths, id, running, "kill") ? () => {} : beginKill(paths, reference, number)
  if (!running || !isAlive(running)) throw new NotRunning(reference, running)
  noteAsked(paths, id, running, { command: "kill", signal: number })
  if (!signalProcess(running, number)) throw new NotRunning(reference)
  const head = readHead(paths, id)
  if (head) recordEvents(paths, head, ["kill", { signal: String(number) }])
  if (number === SIGKILL && running.cgroup) {
    const manager = openCgroup(running.cgroup)
    if (manager.isFrozen()) manager.thaw()
  }
  return () => {
    if (number !== SIGKILL || waitEnd(paths, id, PATIENCE, running.started)) return
    const last = readRunning(paths, id)
    if (last && !isOther(last, running.started)) throw new ToyboxError(`container ${reference} does not end`)
  }
}

/** Stops the processes of a container where they are, or lets them go on. Throws where there is nothing to do. */
export function setPaused(paths: Paths, reference: string, paused: boolean): void {
  const { id, running } = findRunning(paths, reference)
  if (!running.cgroup) throw new ToyboxError(`container ${reference} has no cgroup`)
  const manager = openCgroup(running.cgroup)
  const refuse = (what: string) => {
    throw new ToyboxError(`container ${reference} is ${what}`)
  }
  // Only its user's pause counts, and only it is to end.
  const stood = manager.isFrozen()
  if (isLeftPaused(paths, id, running) === paused) {
    // Toybox itself let it stand still, and has let it go on.
    if (stood && !paused) return
    refuse(paused ? "paused already" : "not paused")
  }
  if (paused) whileNotStill(paths, id, () => (manager.isFrozen() ? refuse("paused already") : manager.freeze()))
  else manager.thaw()
  const head = readHead(paths, id)
  if (head) recordEvents(paths, head, [paused ? "pause" : "unpause"])
}
