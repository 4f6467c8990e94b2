/** The process that carries on what comes to published ports, where the kernel does not. */
import { call } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import { SO_REUSEADDR, SOL_SOCKET } from "../../ffi/constants/socket.ts"
import { spawnSelf } from "../../ffi/spawn.ts"
import { ToyboxError } from "../errors.ts"
import type { HeldPort } from "../network/ports.ts"
import { environmentOf, type Paths } from "../paths.ts"
import { startTime } from "./state.ts"

/** What toybox is called as by itself for it: `forward ID STARTED PROTOCOL:FD:PORT…`. */
const FORWARD = "forward"

const BACKLOG = 4096

/** Starts it for claimed ports of a container; it ends with the container's process. Throws ToyboxError. */
export function startForwarder(paths: Paths, id: string, started: string, ports: readonly HeldPort[]) {
  const words: string[] = []
  const fds: number[] = []
  for (const { protocol, fd, host, container } of ports) {
    if (fd === null || protocol === "sctp")
      throw new ToyboxError(
        `-p: port ${host}/sctp cannot be published: only the kernel could lead it to the container`,
        {
          hint: "toybox doctor tells what it lacks",
        },
      )
    // Who comes before the process is there waits for it.
    if (protocol === "tcp") {
      // Connections that have ended keep nobody from the port then: each inherits it. Who listens does, even so.
      call("setsockopt", fd, SOL_SOCKET, SO_REUSEADDR, struct([4, 1]), 4)
      call("listen", fd, BACKLOG)
    }
    words.push(`${protocol}:${fd}:${container}`)
    fds.push(fd)
  }
  const pid = spawnSelf(["toybox", FORWARD, id, started, ...words], environmentOf(paths), fds)
  if (pid === 0) throw new ToyboxError("the process that carries on published ports cannot be started")
  return { pid, startTime: startTime(pid) ?? "" }
}
