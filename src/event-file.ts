/**
 * What happens, written down by whoever does it: a line of JSON each, appended in one write(2), in a file that lives as long as
 * the machine is up. What cannot be written is not told: it keeps nobody from anything.
 */
import { callResult } from "../ffi/call.ts"
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_WRONLY, SEEK_SET } from "../ffi/constants/fcntl.ts"
import { close, rename, stat } from "../ffi/fs.ts"
import { tryLock } from "../ffi/lock.ts"
import type { Paths } from "./paths.ts"
import { timestamp } from "./timestamp.ts"

/** What happens to something that is no container, by docker's names. */
export interface ThingEvent {
  type: "volume" | "network" | "image"
  action: string
  id: string
  attributes: Record<string, string>
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

/** Tells of what has happened just now, one after the other. */
export function appendEvents(paths: Paths, events: readonly object[]): void {
  if (events.length === 0) return
  const time = timestamp()
  // A line that a full disk has cut off ends with the next one at the latest.
  const text = events.map((event) => `\n${JSON.stringify({ time, ...event })}\n`).join("")
  const bytes = new TextEncoder().encode(text)
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

/** Tells of what has happened to volumes, networks or images. */
export const recordThings = (paths: Paths, ...events: readonly ThingEvent[]): void => appendEvents(paths, events)
