/** The files of a container's log as their readers see them; log-writer.ts writes and rotates them meanwhile. */
import { callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { AT_EMPTY_PATH, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open, read, stat } from "../../ffi/fs.ts"
import { logPath } from "./log-files.ts"

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

/** An open file of a log, read on as it grows. */
export interface LogFile {
  readonly fd: number
  readonly ino: number
  /** The beginning of an entry whose end has not been read yet. */
  rest: Uint8Array
}

function openFile(path: string): LogFile | null {
  try {
    const fd = open(path, O_RDONLY | O_NOFOLLOW)
    return { fd, ino: stat("", AT_EMPTY_PATH, fd)?.ino ?? 0, rest: new Uint8Array(0) }
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null
    throw error
  }
}

const ATTEMPTS = 100

/** Those that there are, the oldest first, and none left out because they changed places while they were opened. */
export function openLogFiles(directory: string, maxFiles: number): LogFile[] {
  for (let attempt = 1; ; attempt++) {
    const files: (LogFile | null)[] = []
    for (let n = maxFiles - 1; n >= 0; n--) files.push(openFile(logPath(directory, n)))
    const inPlace = files.every(
      (file, i) => (stat(logPath(directory, maxFiles - 1 - i))?.ino ?? null) === (file?.ino ?? null),
    )
    const there = files.filter((file) => file !== null)
    if (inPlace || attempt === ATTEMPTS) return there
    for (const { fd } of there) close(fd)
  }
}

/** Those after one that has been read; `lost` where others have come and gone since. */
export function openLogFilesAfter(
  { ino }: LogFile,
  directory: string,
  maxFiles: number,
): { files: LogFile[]; lost: boolean } {
  const files = openLogFiles(directory, maxFiles)
  const known = files.findIndex((file) => file.ino === ino)
  for (const { fd } of files.slice(0, known + 1)) close(fd)
  return { files: files.slice(known + 1), lost: known < 0 }
}

// Entries are handed over in portions: a log may be larger than memory.
const PORTION = 1024 * 1024

/** Reads on to the end that a file has now. */
export function readOn(file: LogFile, take: (entries: readonly LogEntry[]) => void): void {
  for (let more = true; more; ) {
    const parts = [file.rest]
    for (let size = 0; more && size < PORTION; ) {
      const part = read(file.fd)
      more = part.length > 0
      size += part.length
      parts.push(part)
    }
    const { entries, rest } = parseEntries(Buffer.concat(parts))
    file.rest = rest
    if (entries.length > 0) take(entries)
  }
}

function readAt(fd: number, offset: number, length: number): Uint8Array {
  const count = callResult("pread", fd, scratch.address, length, offset)
  if (count < 0) throw failure("pread", count, fd)
  return scratch.bytes.slice(0, count)
}

/** Where entries begin, from the end of a file to its beginning, and whether each ends its line. */
function* entriesBackwards(fd: number, size: number): Generator<{ offset: number; ends: boolean }> {
  const step = SCRATCH_SIZE - HEADER
  for (let end = size; end > 0; end -= step) {
    const from = Math.max(0, end - step)
    // With the header of one that begins at the end of this part.
    const bytes = readAt(fd, from, Math.min(size - from, end - from + HEADER))
    const entry = (at: number) => ({ offset: from + at, ends: bytes[at + FLAG] !== PART })
    // An entry begins behind each newline but that of the last one.
    for (let at = end - from - 1; at >= 0; at--) if (bytes[at] === NEWLINE && from + at + 1 < size) yield entry(at + 1)
    if (from === 0) yield entry(0)
  }
}

/** Leaves files at where the last `count` lines begin; the parts of a line belong to it. Returns those that have some of them. */
export function seekLastLines(files: readonly LogFile[], count: number): LogFile[] {
  let lines = 0
  let isLast = true
  for (let i = files.length - 1; i >= 0; i--) {
    const { fd } = files[i] as LogFile
    const size = stat("", AT_EMPTY_PATH, fd)?.size ?? 0
    let begin = size
    for (const { offset, ends } of entriesBackwards(fd, size)) {
      // A last line that has no end yet is one, too.
      if (ends || isLast) lines++
      isLast = false
      if (lines > count) {
        callResult("lseek", fd, begin, 0)
        for (const before of files.slice(0, i)) close(before.fd)
        return files.slice(i)
      }
      begin = offset
    }
  }
  return [...files]
}
