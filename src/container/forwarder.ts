/** The process that carries on what comes to published ports, where the kernel does not: there from when somebody comes. */
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { __WALL } from "../../ffi/constants/wait.ts"
import { unlink } from "../../ffi/fs.ts"
import { kill, waitChild } from "../../ffi/signal.ts"
import { closeOnExec, spawnSelf } from "../../ffi/spawn.ts"
import type { HeldPort } from "../network/ports.ts"
import { environmentOf, type Paths } from "../paths.ts"
import { readJson, writeAtOnce } from "../state-file.ts"
import { endProcess } from "./end-process.ts"
import { startTime } from "./state.ts"

/** What toybox is called as by itself for it: `forward ID STARTED PROTOCOL:FD:PORT…`. */
const FORWARD = "forward"

/** The file that tells which process it is. */
const forwarderPath = (paths: Paths, id: string) => `${paths.networkRun}/${id}.forwarder`

/**
 * Starts it for claimed ports of a container that is listened to; it ends with the container's process. Its pid, or 0 where there
 * is no memory, no process, or no room to write down which it is.
 */
export function startForwarder(paths: Paths, id: string, started: string, ports: readonly HeldPort[]): number {
  const words = ports.map(({ protocol, fd, container }) => `${protocol}:${fd}:${container}`)
  const fds = ports.flatMap(({ fd }) => fd ?? [])
  closeOnExec()
  const pid = spawnSelf(["toybox", FORWARD, id, started, ...words], environmentOf(paths), fds)
  if (pid === 0) return 0
  const named = JSON.stringify({ pid, startTime: startTime(pid) ?? "" })
  try {
    writeAtOnce(forwarderPath(paths, id), new TextEncoder().encode(named))
    return pid
  } catch {
    // Nobody could end one that nobody knows of; without it the container goes on as before.
    kill(pid, SIGKILL)
    waitChild(pid, __WALL)
    return 0
  }
}

/** Ends that of a container, which holds its ports, too; where there is none it does nothing. */
export function endForwarder(paths: Paths, id: string): void {
  const named = readJson<{ pid: number; startTime: string }>(forwarderPath(paths, id))
  if (named === null) return
  endProcess(named)
  unlink(forwarderPath(paths, id))
}
