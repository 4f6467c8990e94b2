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
import { containerPath, type RunningRecord, readHead, readRunning, resolveId } from "./state.ts"

export interface LogOptions {
  follow: boolean
  timestamps: boolean
  /** Times as entries have them; compared as text. */
  since: string | null
  until: string | null
  /** The last so many lines; null is all. */
  tail: number | null
}

/** What is shown, and of which streams a line has no end yet. */
interface Shown {
  readonly options: LogOptions
  readonly begun: Set<LogEntry["stream"]>
}

const NEWLINE = 10
// poll takes no longer.
const LONGEST = 2 ** 30

function show(entries: readonly LogEntry[], { options, begun }: Shown): void {
  const { timestamps, since, until } = options
  const encoder = new TextEncoder()
  const pieces: { fd: number; bytes: Uint8Array }[] = []
  for (const { time, stream, content } of entries) {
    if ((since !== null && time < since) || (until !== null && time > until)) continue
    const fd = stream === "stdout" ? 1 : 2
    // A part that goes on with a line is no line.
    if (timestamps && !begun.has(stream)) pieces.push({ fd, bytes: encoder.encode(`${time} `) })
    pieces.push({ fd, bytes: content })
    if (content.at(-1) === NEWLINE) begun.delete(stream)
    else begun.add(stream)
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

const supervisorOf = ({ supervisor }: RunningRecord) => supervisor?.pid ?? 0

/** Tells when the log or the running containers change, or the container's supervisor ends. */
function watch(paths: Paths, id: string) {
  const fd = call("inotify_init1", IN_CLOEXEC | IN_NONBLOCK)
  call("inotify_add_watch", fd, containerPath(paths, id), IN_MODIFY | IN_CREATE | IN_MOVED_TO)
  call("inotify_add_watch", fd, paths.running, IN_DELETE)
  let watched = 0
  let pidFd = -1
  return {
    /** Whether nobody writes to the log any more. One that is started again has another supervisor then. */
    isOver(): boolean {
      for (;;) {
        const running = readRunning(paths, id)
        if (running === null) return true
        const pid = supervisorOf(running)
        if (pid !== watched) {
          if (pidFd >= 0) close(pidFd)
          watched = pid
          pidFd = pid > 0 ? callResult("pidfd_open", pid, 0) : -1
        }
        const isDead = pid > 0 && (pidFd < 0 || poll([{ fd: pidFd, events: POLLIN }], 0)[0] !== 0)
        if (!isDead) return false
        // It may have left it to another one since it was looked up.
        const now = readRunning(paths, id)
        if (now && supervisorOf(now) === pid) return true
      }
    },
    /** Waits for so many milliseconds at most. */
    wait(milliseconds: number | null): void {
      const sources = [fd, pidFd].map((source) => ({ fd: source, events: POLLIN }))
      poll(sources, milliseconds)
      callResult("read", fd, scratch.address, SCRATCH_SIZE)
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
  const watching = options.follow ? watch(paths, id) : null
  const shown: Shown = { options, begun: new Set() }
  const until = options.until === null ? null : Date.parse(options.until)
  const all = openLogFiles(directory, maxFiles)
  let current = showFiles(options.tail === null ? all : seekLastLines(all, options.tail), null, shown)
  for (let ended = false; watching && !ended; ) {
    ended = watching.isOver()
    const left = until === null ? null : Math.ceil(until - Date.now())
    if (left !== null && left <= 0) ended = true
    if (!ended) watching.wait(left === null ? null : Math.min(left, LONGEST))
    if (current && stat(logPath(directory, 0))?.ino === current.ino) {
      readOn(current, (entries) => show(entries, shown))
      continue
    }
    // Nobody writes to it any more: it is read to its end.
    if (current) readOn(current, (entries) => show(entries, shown))
    const { files, lost } = current
      ? openLogFilesAfter(current, directory, maxFiles)
      : { files: openLogFiles(directory, maxFiles), lost: false }
    // Of one file nobody can tell whether it took the place of the last one, or of another.
    if (lost && maxFiles > 1) notice("logs: some of the output was rotated away before it could be read")
    current = showFiles(files, current, shown)
  }
}

/** Shows files to their ends; the last of them, or the one before where there is none, is returned, and goes on. */
function showFiles(files: readonly LogFile[], before: LogFile | null, shown: Shown): LogFile | null {
  let current = before
  for (const file of files) {
    if (current) close(current.fd)
    current = file
    readOn(file, (entries) => show(entries, shown))
  }
  return current
}
