/**
 * Keeps what a container writes, in the format of the CRI ("k8s-file"): `TIME stdout F line`, where P instead of F is a part of
 * a line that goes on in the next entry of its stream. Bytes are kept as they are. Rotated by size: container.log is the
 * newest file, container.log.1 the one before.
 *
 * Hundreds of megabytes a second may come: lines are found and copied by the engine's own loops, in memory that the
 * garbage collector does not have, and each byte is copied once.
 */
import { callResult } from "../../ffi/call.ts"
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { MADV_DONTNEED } from "../../ffi/constants/mman.ts"
import { close, open, stat } from "../../ffi/fs.ts"
import { mapMemory } from "../../ffi/libc.ts"
import { timestamp } from "../timestamp.ts"
import { type LogFiles, logPath } from "./log-files.ts"

export type Stream = "stdout" | "stderr"

const NEWLINE = 10
const PARTIAL = 0x50
const INPUT = 256 * 1024
const OUTPUT = 512 * 1024
const ENOENT = -2
const EINTR = -4
/** `2026-01-02T03:04:05.123456789Z stdout F ` */
const HEADER = 40
const HEADER_ROOM = 64
const TAG = 38

const encoder = new TextEncoder()

export interface LogWriter {
  /** Where to read the next output of a stream to; `size` bytes have room. */
  room(stream: Stream): { address: number; bytes: Uint8Array; size: number }
  /** `size` bytes have been read there. */
  take(stream: Stream, size: number): void
  /** Whether a stream has a line begun that is not written yet. */
  pending(stream: Stream): boolean
  /** Writes the beginning of a line as a part. */
  flush(stream: Stream): void
  /** Gives back memory that nothing is in. */
  rest(): void
  close(): void
}

/** The open file, and when it is the next one's turn. */
function logFile({ directory, limits }: LogFiles) {
  const path = logPath(directory, 0)
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC
  let fd = open(path, flags, 0o600)
  let size = stat(path)?.size ?? 0
  /** False where there is no new file to be had, with all as it was: a disk may have no room for one more. */
  const rotate = (): boolean => {
    const fresh = `${path}.new`
    const next = callResult("openat", AT_FDCWD, fresh, flags | O_TRUNC, 0o600)
    if (next < 0) return false
    const move = (from: string, to: string) => {
      const result = callResult("renameat", AT_FDCWD, from, AT_FDCWD, to)
      return result >= 0 || result === ENOENT
    }
    let moved = true
    for (let n = limits.maxFiles - 2; n >= 0 && moved; n--)
      moved = move(logPath(directory, n), logPath(directory, n + 1))
    if (!moved || !move(fresh, path)) {
      close(next)
      callResult("unlinkat", AT_FDCWD, fresh, 0)
      return false
    }
    close(fd)
    fd = next
    size = 0
    return true
  }
  return {
    /**
     * Whole entries, which stay in one file. What a disk that is full or fails does not take is lost: the container goes on, and
     * its log when there is room again.
     */
    write(address: number, length: number) {
      if (size > 0 && size + length > limits.maxSize && !rotate()) return
      for (let done = 0; done < length; ) {
        const count = callResult("write", fd, address + done, length - done)
        if (count === EINTR) continue
        if (count < 0) {
          callResult("ftruncate", fd, size)
          return
        }
        done += count
      }
      size += length
    },
    close: () => close(fd),
  }
}

/** madvise(2): it is there when it is written to again. */
const giveBack = (base: number, size: number) => callResult("madvise", base, size, MADV_DONTNEED)

/** Opens the log of a container. Throws SyscallError. */
export function openLog(files: LogFiles): LogWriter {
  const file = logFile(files)
  const { base, buffer } = mapMemory(2 * (HEADER_ROOM + INPUT) + OUTPUT)
  const bytes = new Uint8Array(buffer)
  const output = 2 * (HEADER_ROOM + INPUT)
  const most = Math.min(OUTPUT, files.limits.maxSize)
  const have = { stdout: 0, stderr: 0 }
  const headerOf = { stdout: 0, stderr: HEADER_ROOM + INPUT }

  const write = (end: number) => {
    if (end > output) file.write(base + output, end - output)
  }
  const stamp = (stream: Stream) =>
    encoder.encodeInto(`${timestamp()} ${stream} F `, bytes.subarray(headerOf[stream], headerOf[stream] + HEADER_ROOM))
  /** One entry at `to`; returns where it ends. Its newline is the next byte of the input, or has room to be put there. */
  const entry = (header: number, from: number, end: number, to: number): number => {
    let position = to
    if (position + HEADER + end - from > output + most) {
      write(position)
      position = output
    }
    bytes.copyWithin(position, header, header + HEADER)
    bytes.copyWithin(position + HEADER, from, end)
    return position + HEADER + end - from
  }
  const flush = (stream: Stream) => {
    const header = headerOf[stream]
    const start = header + HEADER_ROOM
    const size = have[stream]
    if (size === 0) return
    stamp(stream)
    bytes[header + TAG] = PARTIAL
    bytes[start + size] = NEWLINE
    write(entry(header, start, start + size + 1, output))
    have[stream] = 0
  }
  // The last byte of the room is for the newline of a part.
  const left = (stream: Stream) => INPUT - 1 - have[stream]
  return {
    room(stream) {
      const at = headerOf[stream] + HEADER_ROOM + have[stream]
      return { address: base + at, bytes: bytes.subarray(at, at + left(stream)), size: left(stream) }
    },
    take(stream, size) {
      const header = headerOf[stream]
      const start = header + HEADER_ROOM
      const end = start + have[stream] + size
      stamp(stream)
      let to = output
      let from = start
      // What was there before has no newline in it.
      let newline = bytes.indexOf(NEWLINE, start + have[stream])
      while (newline >= 0 && newline < end) {
        to = entry(header, from, newline + 1, to)
        from = newline + 1
        newline = from < end ? bytes.indexOf(NEWLINE, from) : -1
      }
      write(to)
      have[stream] = end - from
      if (from > start) bytes.copyWithin(start, from, end)
      if (left(stream) === 0) flush(stream)
    },
    pending: (stream) => have[stream] > 0,
    flush,
    rest() {
      if (have.stdout + have.stderr === 0) giveBack(base, bytes.length)
    },
    close() {
      flush("stdout")
      flush("stderr")
      file.close()
    },
  }
}

/** What is written is read, and forgotten. */
export function noLog(): LogWriter {
  const { base, buffer } = mapMemory(INPUT)
  const bytes = new Uint8Array(buffer)
  return {
    room: () => ({ address: base, bytes, size: INPUT }),
    take: () => {},
    pending: () => false,
    flush: () => {},
    rest: () => giveBack(base, INPUT),
    close: () => {},
  }
}
