/**
 * The supervisor of a detached container: one poll over its output and its end. It has loaded next to nothing, and waits
 * without using the processor; what the end needs is loaded then. Killed, it takes the container with it (PDEATHSIG), and the
 * next toybox cleans up.
 */
import { callResult } from "../../ffi/call.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { SIGCHLD, SIGKILL } from "../../ffi/constants/signal.ts"
import { __WALL, WNOHANG } from "../../ffi/constants/wait.ts"
import { close } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { kill, openSignals, readSignals, type WaitStatus, waitAny } from "../../ffi/signal.ts"
import type { Paths } from "../paths.ts"
import { DEFAULT_LOG } from "./log-files.ts"
import { type LogWriter, openLog, type Stream } from "./log-writer.ts"
import { containerPath, readHead, readRunning } from "./state.ts"

/** What the toybox that started the container leaves to it. */
export interface Inherited {
  lock: number
  /** A byte comes when the command has been executed; an end without it is that of the start. */
  control: number
  out: number
  err: number
}

const EAGAIN = -11
// A line that is begun is kept so long for its end.
const PATIENCE = 10

/** Copies what there is of one stream; false at its end. */
function copy(log: LogWriter, stream: Stream, fd: number): boolean {
  const { address, size } = log.room(stream)
  const count = callResult("read", fd, address, size)
  if (count > 0) log.take(stream, count)
  return count > 0 || count === EAGAIN
}

function openStreams(log: LogWriter, { out, err }: Inherited) {
  const streams: { stream: Stream; fd: number }[] = [
    { stream: "stdout", fd: out },
    { stream: "stderr", fd: err },
  ]
  return {
    open: () => streams,
    copy(stream: Stream, fd: number) {
      if (copy(log, stream, fd)) return
      close(fd)
      streams.splice(
        streams.findIndex((one) => one.fd === fd),
        1,
      )
    },
  }
}

/** Stays until the container has ended and all of it is cleaned up. */
export async function superviseDetached(paths: Paths, id: string, inherited: Inherited): Promise<void> {
  const signalFd = openSignals([SIGCHLD])
  const log = openLog({
    directory: containerPath(paths, id),
    limits: readHead(paths, id)?.detached?.log ?? DEFAULT_LOG,
  })
  const streams = openStreams(log, inherited)
  const ended = new Map<number, WaitStatus>()
  let control = inherited.control
  let pid = 0
  const reap = () => {
    for (let child = waitAny(WNOHANG | __WALL); child; child = waitAny(WNOHANG | __WALL)) ended.set(child.pid, child)
  }
  reap()
  for (let idle = false; ; ) {
    const status = pid > 0 ? ended.get(pid) : undefined
    if (status && (idle || streams.open().length === 0)) {
      log.close()
      const { finish } = await import("./finish.ts")
      return finish(paths, id, inherited.lock, status)
    }
    const sources = [
      { fd: signalFd, events: POLLIN },
      { fd: control, events: POLLIN },
    ]
    const open = [...streams.open()]
    const begun = open.some(({ stream }) => log.pending(stream))
    const wait = status ? 100 : begun ? PATIENCE : null
    const [signalled, told, ...ready] = poll([...sources, ...open.map(({ fd }) => ({ fd, events: POLLIN }))], wait)
    open.forEach(({ stream, fd }, i) => {
      if (ready[i]) streams.copy(stream, fd)
      else if (log.pending(stream)) log.flush(stream)
    })
    idle = ready.every((events) => !events)
    if (signalled) {
      readSignals(signalFd)
      reap()
    }
    if (told) {
      const count = callResult("read", control, log.room("stdout").address, 1)
      close(control)
      control = -1
      const running = readRunning(paths, id)
      if (count !== 1) return abandon(running?.pid ?? 0)
      pid = running?.pid ?? 0
    }
  }
}

/** The start has failed, and who tried it cleans up; or was killed, and the next toybox does. */
function abandon(pid: number): void {
  if (pid > 0) kill(pid, SIGKILL)
}
