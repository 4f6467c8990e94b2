/** Reading what a container has written (log-writer.ts), and following it without polling: inotify(7), pidfd_open(2). */
import { call, callResult, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { IN_CLOEXEC, IN_CREATE, IN_DELETE, IN_MODIFY, IN_MOVED_TO, IN_NONBLOCK } from "../../ffi/constants/inotify.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open, read, stat, writeAll } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { logPath } from "./log-files.ts"
import { containerPath, readHead, readRunning, resolveId } from "./state.ts"

export interface LogOptions {
  follow: boolean
  timestamps: boolean
  /** Times as entries have them; compared as text. */
  since: string | null
  until: string | null
  /** The last so many lines; null is all. */
  tail: number | null
}

/** One entry: `content` is a line with its newline, or a part of one without. */
export interface LogEntry {
  time: string
  stream: "stdout" | "stderr"
  content: Uint8Array
}

const NEWLINE = 10
const TIME = 30
const HEADER = 40
const PART = 0x50
const FLAG = 38
const decoder = new TextDecoder("latin1")

/** The whole entries of `bytes`, and what is left behind the last of them. */
export function parseEntries(bytes: Uint8Array): { entries: LogEntry[]; rest: Uint8Array } {
  const entries: LogEntry[] = []
  let from = 0
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
    if (end - from >= HEADER) {
      entries.push({
        time: decoder.decode(bytes.subarray(from, from + TIME)),
        stream: decoder.decode(bytes.subarray(from + TIME + 1, from + FLAG - 1)) === "stderr" ? "stderr" : "stdout",
        content: bytes.slice(from + HEADER, bytes[from + FLAG] === PART ? end : end + 1),
      })
    }
    from = end + 1
  }
  return { entries, rest: bytes.slice(from) }
}

/** The entries of the last `count` lines; the parts of a line belong to it. */
export function lastLines(entries: readonly LogEntry[], count: number): readonly LogEntry[] {
  let lines = 0
  for (let i = entries.length - 1; i >= 0; i--) {
    const ends = entries[i]?.content.at(-1) === NEWLINE
    // A last line that has no end yet is one, too.
    if (ends || i === entries.length - 1) lines++
    if (lines > count) return entries.slice(i + 1)
  }
  return entries
}

/** An open log file, read on as it grows. */
function reader(path: string) {
  const fd = open(path, O_RDONLY | O_NOFOLLOW)
  let rest: Uint8Array = new Uint8Array(0)
  return {
    fd,
    more(): LogEntry[] {
      const parts = [rest]
      for (let part = read(fd); part.length > 0; part = read(fd)) parts.push(part)
      const found = parseEntries(Buffer.concat(parts))
      rest = found.rest
      return found.entries
    },
  }
}

function tryReader(path: string): ReturnType<typeof reader> | null {
  try {
    return reader(path)
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null
    throw error
  }
}

function show(entries: readonly LogEntry[], { timestamps, since, until }: LogOptions): void {
  const encoder = new TextEncoder()
  const pieces: { fd: number; bytes: Uint8Array }[] = []
  for (const { time, stream, content } of entries) {
    if ((since !== null && time < since) || (until !== null && time > until)) continue
    const fd = stream === "stdout" ? 1 : 2
    if (timestamps) pieces.push({ fd, bytes: encoder.encode(`${time} `) })
    pieces.push({ fd, bytes: content })
  }
  // As few writes as the order allows.
  for (let i = 0; i < pieces.length; ) {
    const fd = pieces[i]?.fd ?? 1
    let end = i
    while (end < pieces.length && pieces[end]?.fd === fd) end++
    writeAll(fd, Buffer.concat(pieces.slice(i, end).map(({ bytes }) => bytes)))
    i = end
  }
}

/** Waits until the log or the running containers change, or the container's supervisor has ended. */
function watch(paths: Paths, directory: string, supervisor: number) {
  const fd = call("inotify_init1", IN_CLOEXEC | IN_NONBLOCK)
  call("inotify_add_watch", fd, directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO)
  call("inotify_add_watch", fd, paths.running, IN_DELETE)
  const pidFd = supervisor > 0 ? callResult("pidfd_open", supervisor, 0) : -1
  return {
    wait: (): { ended: boolean } => {
      const [, dead] = poll(
        [
          { fd, events: POLLIN },
          { fd: pidFd, events: POLLIN },
        ],
        null,
      )
      callResult("read", fd, scratch.address, SCRATCH_SIZE)
      return { ended: Boolean(dead) }
    },
  }
}

/** Writes the log of a container to standard output and standard error. Throws ToyboxError where there is none. */
export function showLogs(paths: Paths, reference: string, options: LogOptions): void {
  const id = resolveId(paths, reference)
  const directory = containerPath(paths, id)
  const detached = readHead(paths, id)?.detached
  if (!detached)
    throw new ToyboxError(`container ${reference} has no log: it ran in the foreground`, { hint: "run it with -d" })
  if (!detached.log) throw new ToyboxError(`container ${reference} has no log: it ran with --log-driver none`)
  // Before the files are read: what is written meanwhile is told.
  const watching = options.follow ? watch(paths, directory, readRunning(paths, id)?.supervisor?.pid ?? 0) : null
  const files = Array.from({ length: detached.log.maxFiles }, (_, n) => tryReader(logPath(directory, n))).reverse()
  const entries = files.flatMap((file) => file?.more() ?? [])
  show(options.tail === null ? entries : lastLines(entries, options.tail), options)
  let current = files.at(-1) ?? null
  for (let ended = readRunning(paths, id) === null; watching && !ended; ) {
    ended = watching.wait().ended || readRunning(paths, id) === null
    show(current?.more() ?? [], options)
    const path = logPath(directory, 0)
    if (current && stat(path)?.ino === stat(`/proc/self/fd/${current.fd}`)?.ino) continue
    if (current) close(current.fd)
    current = tryReader(path)
    show(current?.more() ?? [], options)
  }
}
