/** Reading what a container has written (log-writer.ts), and following it without polling: inotify(7), pidfd_open(2). */
import { call, callResult, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { IN_CLOEXEC, IN_CREATE, IN_DELETE, IN_MODIFY, IN_MOVED_TO, IN_NONBLOCK } from "../../ffi/constants/inotify.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { close, stat, writeAll } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { logPath } from "./log-files.ts"
import { type LogEntry, type LogFile, openLogFiles, openLogFilesAfter, readOn, seekLastLines } from "./log-read.ts"
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
  const { maxFiles } = detached.log
  // Before the files are read: what is written meanwhile is told.
  const watching = options.follow ? watch(paths, directory, readRunning(paths, id)?.supervisor?.pid ?? 0) : null
  const all = openLogFiles(directory, maxFiles)
  let current = showFiles(options.tail === null ? all : seekLastLines(all, options.tail), null, options)
  for (let ended = readRunning(paths, id) === null; watching && !ended; ) {
    ended = watching.wait().ended || readRunning(paths, id) === null
    if (current && stat(logPath(directory, 0))?.ino === current.ino) {
      readOn(current, (entries) => show(entries, options))
      continue
    }
    // Nobody writes to it any more: it is read to its end.
    if (current) readOn(current, (entries) => show(entries, options))
    const { files, lost } = current
      ? openLogFilesAfter(current, directory, maxFiles)
      : { files: openLogFiles(directory, maxFiles), lost: false }
    if (lost) notice("logs: some of the output was rotated away before it could be read")
    current = showFiles(files, current, options)
  }
}

/** Shows files to their ends; the last of them, or the one before where there is none, is returned, and goes on. */
function showFiles(files: readonly LogFile[], before: LogFile | null, options: LogOptions): LogFile | null {
  let current = before
  for (const file of files) {
    if (current) close(current.fd)
    current = file
    readOn(file, (entries) => show(entries, options))
  }
  return current
}
