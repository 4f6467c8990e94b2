/**
 * What happens to containers, written down by whoever does it: a line of JSON each, appended in one write(2), in a file that
 * lives as long as the machine is up. What cannot be written is not told: it keeps no container from anything.
 */
import { callResult } from "../../ffi/call.ts"
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_WRONLY, SEEK_SET } from "../../ffi/constants/fcntl.ts"
import { close, rename, stat } from "../../ffi/fs.ts"
import { tryLock } from "../../ffi/lock.ts"
import type { Paths } from "../paths.ts"
import type { HealthStatus } from "./health.ts"
import type { ContainerHead } from "./state.ts"
import { timestamp } from "./timestamp.ts"

/** docker's names of them. */
export type Action =
  | "create"
  | "start"
  | "die"
  | "oom"
  | "kill"
  | "stop"
  | "restart"
  | "update"
  | "pause"
  | "unpause"
  | "rename"
  | "destroy"
  | "attach"
  | "detach"
  | "exec_create"
  | "exec_start"
  | "exec_die"
  | `health_status: ${HealthStatus}`

/** Whom it happens to. */
export type Actor = Pick<ContainerHead, "id" | "name" | "image"> & { labels?: Record<string, string> }

export interface ContainerEvent extends Actor {
  /** As timestamp() has it. */
  time: string
  action: Action
  /** Exit code, signal and the like. */
  attributes?: Record<string, string>
}

/** The file that is written, and the one before it. */
export const eventsPath = (paths: Paths, n: 0 | 1): string => `${paths.run}/events${n === 0 ? "" : ".1"}`

const MOST = 1_000_000
const SEEK_CUR = SEEK_SET + 1

function rotate(paths: Paths, fd: number): void {
  const path = eventsPath(paths, 0)
  // Two may find it full.
  if (tryLock(fd) && stat(path)?.ino === stat(`/proc/self/fd/${fd}`)?.ino) rename(path, eventsPath(paths, 1))
}

/** Tells of what has happened to one container just now. */
export function recordEvents(
  paths: Paths,
  { id, name, image, labels }: Actor,
  ...happened: readonly (readonly [Action, Record<string, string>?])[]
): void {
  if (happened.length === 0) return
  const time = timestamp()
  const lines = happened.map(([action, attributes]) => {
    const event: ContainerEvent = { time, action, id, name, image }
    if (labels && Object.keys(labels).length > 0) event.labels = labels
    if (attributes) event.attributes = attributes
    // A line that a full disk has cut off ends here at the latest.
    return `\n${JSON.stringify(event)}\n`
  })
  const bytes = new TextEncoder().encode(lines.join(""))
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW
  const fd = callResult("openat", AT_FDCWD, eventsPath(paths, 0), flags, 0o600)
  if (fd < 0) return
  try {
    callResult("write", fd, bytes, bytes.length)
    if (callResult("lseek", fd, 0, SEEK_CUR) > MOST) rotate(paths, fd)
  } catch {
    // The file is full, and stays so for now.
  } finally {
    close(fd)
  }
}
