/** Which namespaces a running process has of its own. */
import { callResult, failure } from "../../ffi/call.ts"
import { close, stat } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { NamespaceType } from "../oci/runtime.ts"

const FILES: readonly (readonly [NamespaceType, string])[] = [
  ["user", "user"],
  ["mount", "mnt"],
  ["uts", "uts"],
  ["ipc", "ipc"],
  ["pid", "pid"],
  ["network", "net"],
  ["cgroup", "cgroup"],
  ["time", "time_for_children"],
]

/** A process to join, held by pidfd: its number may become another's, the descriptor does not. */
export interface Entered {
  pid: number
  pidFd: number
  /** Those that are not this process's own, too. */
  namespaces: NamespaceType[]
}

/** Opens a process and looks at its namespaces: pidfd_open(2), namespaces(7). */
export function otherNamespaces(pid: number): Entered {
  const pidFd = callResult("pidfd_open", pid, 0)
  if (pidFd < 0)
    throw new ToyboxError("the container's process has ended", { cause: failure("pidfd_open", pidFd, pid) })
  const place = (of: number | "self", file: string) => {
    const found = stat(`/proc/${of}/ns/${file}`)
    return found ? `${found.dev} ${found.ino}` : null
  }
  const namespaces: NamespaceType[] = []
  for (const [type, file] of FILES) {
    const theirs = place(pid, file)
    // Time namespaces may be unknown to the kernel; of a process that has ended there is none left.
    if (theirs === null && type !== "time") {
      close(pidFd)
      throw new ToyboxError("the container's process has ended")
    }
    if (theirs !== null && theirs !== place("self", file)) namespaces.push(type)
  }
  return { pid, pidFd, namespaces }
}

/** Whether the process behind a pidfd lives: signal 0 of pidfd_send_signal(2). */
export const isThere = (pidFd: number): boolean => callResult("pidfd_send_signal", pidFd, 0, null, 0) === 0
