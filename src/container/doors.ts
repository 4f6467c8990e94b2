/** Published ports that the kernel leads nobody through: a process serves them from when somebody comes, and none before. */
import { EPOLLET, EPOLLIN } from "../../ffi/constants/epoll.ts"
import { createEpoll, epollAdd, epollWait } from "../../ffi/epoll.ts"
import { close } from "../../ffi/fs.ts"
import { servedPorts } from "../network/ports.ts"
import type { Paths } from "../paths.ts"
import type { startForwarder } from "./forwarder.ts"
import type { RunningRecord } from "./state.ts"

export interface Doors {
  /** Can be read from when somebody has come. */
  readonly fd: number
  /**
   * Has a process serve them, which forwarder.ts starts: who supervises has not loaded that. False where it cannot be started: it
   * is tried again when somebody else comes.
   */
  open(start: typeof startForwarder): boolean
}

/** Those of a container that is about to run, by the process that holds its ports; null where it has none. */
export function watchDoors(paths: Paths, id: string, record: RunningRecord): Doors | null {
  const ports = servedPorts(record)
  if (ports.length === 0) return null
  const epoll = createEpoll()
  for (const { fd } of ports) if (fd !== null) epollAdd(epoll, fd, EPOLLIN | EPOLLET)
  return {
    fd: epoll,
    open(start) {
      epollWait(epoll, 0)
      if (!start(paths, id, record.started, ports)) return false
      close(epoll)
      return true
    },
  }
}
