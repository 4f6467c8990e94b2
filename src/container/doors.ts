/** Whom the kernel does not lead through published ports a process serves, from when somebody comes, and none before. */
import { EPOLLET, EPOLLIN } from "../../ffi/constants/epoll.ts"
import { createEpoll, epollAdd, epollWait } from "../../ffi/epoll.ts"
import type { Paths } from "../paths.ts"
import type { startForwarder } from "./forwarder.ts"
import type { RunningRecord } from "./state.ts"

export interface Doors {
  /** Can be read from when somebody has come; -1 while a process serves. */
  readonly fd: number
  /** The process that serves, a child of this one; 0 while there is none. */
  readonly serving: number
  /**
   * Has a process serve, which forwarder.ts starts: who supervises has not loaded that. Where it cannot be started it is tried
   * again when somebody else comes.
   */
  open(start: typeof startForwarder): void
  /** A child has ended: where it served, another does when somebody comes. */
  ended(pid: number): void
}

/** Those of a container that is about to run, by the process that holds its ports; null where it has none. */
export function watchDoors(paths: Paths, id: string, record: RunningRecord): Doors | null {
  // Those that the kernel leads, too: it may cease to, with its rules or for a firewall that comes later.
  const ports = (record.ports ?? []).filter(({ fd }) => fd !== null)
  if (ports.length === 0) return null
  const epoll = createEpoll()
  // Edges: who has come to a process that has not served him is no reason to start one after the other.
  for (const { fd } of ports) if (fd !== null) epollAdd(epoll, fd, EPOLLIN | EPOLLET)
  let serving = 0
  return {
    get fd() {
      return serving === 0 ? epoll : -1
    },
    get serving() {
      return serving
    },
    open(start) {
      epollWait(epoll, 0)
      serving = start(paths, id, record.started, ports)
    },
    ended(pid) {
      if (pid === serving) serving = 0
    },
  }
}
