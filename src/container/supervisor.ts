/**
 * The supervisor of a detached container: one poll over its output and its end. It has loaded next to nothing, and waits
 * without using the processor; what the end needs is loaded then. SIGTERM, as when the machine is stopped, it passes on as the
 * container's stop signal. Killed, it takes the container with it (PDEATHSIG), and the next toybox cleans up.
 */
import { callResult, scratch } from "../../ffi/call.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { SIGHUP, SIGKILL } from "../../ffi/constants/signal.ts"
import { __WALL, WNOHANG } from "../../ffi/constants/wait.ts"
import { close } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { kill, openSignals, readSignals, type WaitStatus, waitAny } from "../../ffi/signal.ts"
import type { Paths } from "../paths.ts"
import type { Holder } from "./attach-server.ts"
import {
  advance,
  attachFirst,
  attachWaiting,
  type CommandFds,
  hearLast,
  isFirst,
  isOver,
  openCommandIo,
  wantedBy,
} from "./command-io.ts"
import { type Doors, watchDoors } from "./doors.ts"
import type { Foreground } from "./finish.ts"
import type { HealthMonitor } from "./health-monitor.ts"
import type { LogLimits } from "./log-limits.ts"
import { noLog, openLog } from "./log-writer.ts"
import { isOfEnd, TAKEN } from "./own-signals.ts"
import { containerPath, readRunning } from "./state.ts"
import { createTidy } from "./tidy.ts"
import type { GentleEnd } from "./told-to-end.ts"

/** What the toybox that started the container leaves to it. */
export interface Inherited extends CommandFds {
  lock: number
  /** A byte comes when the command has been executed; an end without it is that of the start. */
  control: number
  /** Somebody is to ask how it is (health-monitor.ts). */
  health: boolean
  /** Seconds that it may run; null: any time. */
  timeout: number | null
}

// So long nothing must have come after the end of a command whose output somebody else still holds.
const DRAIN = 100

const sooner = (one: number | null, other: number | null) =>
  one === null || other === null ? (one ?? other) : Math.min(one, other)

/**
 * Stays until the container has ended and all of it is cleaned up; false where its start has failed. Without limits nothing is kept
 * of its output.
 */
export async function superviseDetached(
  paths: Paths,
  id: string,
  inherited: Inherited,
  limits: LogLimits | null,
): Promise<boolean> {
  const signalFd = openSignals(TAKEN)
  const log = limits ? openLog({ directory: containerPath(paths, id), limits }) : noLog()
  const io = openCommandIo(log, inherited)
  const tidy = createTidy(io.log.rest)
  const ended = new Map<number, WaitStatus>()
  let control = inherited.control
  let doors: Doors | null = null
  let pid = 0
  let monitor: HealthMonitor | null = null
  let told: number | null = null
  let foreground: Foreground | null = null
  let end: GentleEnd | null = null
  let deadline = Number.POSITIVE_INFINITY
  let overdue: number | null = null
  const reap = () => {
    for (let child = waitAny(WNOHANG | __WALL); child; child = waitAny(WNOHANG | __WALL)) {
      ended.set(child.pid, child)
      doors?.ended(child.pid)
    }
  }
  const holder: Holder = {
    lost() {
      if (pid <= 0 || ended.has(pid)) return
      foreground = { signal: SIGHUP, deaf: true, lost: true }
      kill(pid, SIGKILL)
    },
    passes(signal, deaf) {
      foreground = { signal, deaf, lost: false }
    },
  }
  reap()
  for (let idle = false; ; ) {
    const status = pid > 0 ? ended.get(pid) : undefined
    if (status && (idle || isOver(io))) {
      io.log.close()
      const { finish } = await import("./finish.ts")
      hearLast(io)
      const seen = { status, told, overdue, foreground }
      const { exitCode, message, restartIn } = await finish(paths, id, inherited.lock, seen)
      await attachWaiting(io, holder)
      io.attached?.end(exitCode, message)
      if (restartIn !== null)
        await (await import("./restart.ts")).restartLater(paths, id, inherited.lock, restartIn, signalFd)
      return true
    }
    const { fds, wait } = wantedBy(io)
    const own = [
      { fd: signalFd, events: POLLIN },
      { fd: control, events: POLLIN },
      { fd: doors?.fd ?? -1, events: POLLIN },
    ]
    const left = deadline === Number.POSITIVE_INFINITY ? null : Math.max(0, Math.ceil(deadline - performance.now()))
    const next = [monitor?.wait() ?? null, end?.left() ?? null, left, tidy.wait()].reduce(sooner, wait)
    const [signalled, begun, knocked, ...events] = poll([...own, ...fds], status ? DRAIN : next)
    if (isFirst(io, events)) {
      // Before anything is copied, which who is attached before the start has to see.
      await attachFirst(io, holder)
      continue
    }
    idle = !advance(io, events)
    tidy.after(idle)
    if (signalled) {
      told = readSignals(signalFd).findLast(isOfEnd) ?? told
      reap()
    }
    if (begun) {
      const count = callResult("read", control, scratch.address, 1)
      close(control)
      control = -1
      const running = readRunning(paths, id)
      if (count !== 1) {
        // Who tried it cleans up; or was killed, and the next toybox does.
        if (running && running.pid > 0) kill(running.pid, SIGKILL)
        return false
      }
      pid = running?.pid ?? 0
      if (inherited.timeout !== null) deadline = performance.now() + inherited.timeout * 1000
      if (running?.ports) doors = watchDoors(paths, id, running)
      if (running && inherited.health)
        monitor = (await import("./health-monitor.ts")).monitorOf(paths, id, running.started)
    }
    if (status) continue
    if (knocked) doors?.open((await import("./forwarder.ts")).startForwarder)
    if (told !== null && pid > 0) end ??= (await import("./told-to-end.ts")).endGently(paths, id, pid)
    if (end?.left() === 0) end.force()
    if (performance.now() >= deadline) {
      deadline = Number.POSITIVE_INFINITY
      overdue = inherited.timeout
      ;(await import("./told-to-end.ts")).endAtOnce(paths, id, pid)
    }
    monitor?.advance(ended)
  }
}
