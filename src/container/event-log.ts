/** Reading the events (events.ts), and following them without polling: inotify(7). */
import { call, callResult, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { IN_CLOEXEC, IN_CREATE, IN_MODIFY, IN_MOVED_TO, IN_NONBLOCK } from "../../ffi/constants/inotify.ts"
import { POLLERR, POLLIN } from "../../ffi/constants/poll.ts"
import { close, read, stat, tryReadText } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { eventsPath, type ThingEvent } from "../event-file.ts"
import type { Paths } from "../paths.ts"
import type { ContainerEvent } from "./events.ts"

const NEWLINE = 10
// poll takes no longer.
const LONGEST = 2 ** 30

/** What is kept of one event; without a type it is a container's. */
export type KeptEvent = (ContainerEvent & { type?: undefined }) | (ThingEvent & Pick<ContainerEvent, "time">)

/** The events of whole lines; what is none, a full disk has cut off. */
function parseEvents(text: string): KeptEvent[] {
  return text.split("\n").flatMap((line) => {
    if (line === "") return []
    try {
      return [JSON.parse(line) as KeptEvent]
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      return []
    }
  })
}

/** Opens a file of events to read on in as it grows; null where there is none. */
function openEvents(path: string) {
  const fd = callResult("openat", AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)
  if (fd < 0) return null
  let rest: Uint8Array = new Uint8Array(0)
  return {
    isStill: () => stat(path)?.ino === stat(`/proc/self/fd/${fd}`)?.ino,
    close: () => close(fd),
    more(): KeptEvent[] {
      const parts = [rest]
      for (let part = read(fd); part.length > 0; part = read(fd)) parts.push(part)
      const bytes = Buffer.concat(parts)
      const end = bytes.lastIndexOf(NEWLINE) + 1
      rest = bytes.slice(end)
      return parseEvents(bytes.subarray(0, end).toString())
    },
  }
}

/** With what a container has ended last, as far as events of it are kept; null where none is. */
export function lastExitCode(paths: Paths, id: string): number | null {
  const texts = ([1, 0] as const).map((n) => tryReadText(eventsPath(paths, n)) ?? "")
  const last = texts.flatMap(parseEvents).findLast((event) => event.id === id && event.action === "die")
  const code = last?.attributes?.exitCode
  return code === undefined ? null : Number(code)
}

/**
 * Gives the events from `since` (null: those to come) to `until` (null: for ever); both as timestamp() has them. Ends before
 * that where nobody reads them any more: `give` returns false, or the pipe of the descriptor `output` is nobody's. It returns
 * false then, too.
 */
export function followEvents(
  paths: Paths,
  { since, until }: { since: string | null; until: string | null },
  give: (event: KeptEvent) => boolean,
  output: number,
): boolean {
  const isMeant = ({ time }: KeptEvent) => (since === null || time >= since) && (until === null || time <= until)
  const show = (events: readonly KeptEvent[]) => events.every((event) => !isMeant(event) || give(event))
  const changes = call("inotify_init1", IN_CLOEXEC | IN_NONBLOCK)
  call("inotify_add_watch", changes, paths.run, IN_MODIFY | IN_CREATE | IN_MOVED_TO)
  const before = since === null ? null : openEvents(eventsPath(paths, 1))
  let current = openEvents(eventsPath(paths, 0))
  const past = [...(before?.more() ?? []), ...(current?.more() ?? [])]
  let isWanted = since === null || show(past)
  before?.close()
  while (isWanted) {
    const left = until === null ? null : Date.parse(until) - Date.now()
    if (left !== null && left <= 0) break
    const sources = [
      { fd: changes, events: POLLIN },
      // Its end is told whatever is asked for.
      { fd: output, events: 0 },
    ]
    const [, unread = 0] = poll(sources, left === null ? null : Math.min(Math.ceil(left), LONGEST))
    if (unread & POLLERR) isWanted = false
    callResult("read", changes, scratch.address, SCRATCH_SIZE)
    isWanted &&= show(current?.more() ?? [])
    if (current?.isStill()) continue
    // Rotated: what came last into the old one has been read.
    current?.close()
    current = openEvents(eventsPath(paths, 0))
    isWanted &&= show(current?.more() ?? [])
  }
  close(changes)
  return isWanted
}
