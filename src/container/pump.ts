/** Copies bytes from one descriptor to another as both allow, without JavaScript looking at them unless asked. */
import { callResult, SCRATCH_SIZE, type Scratch, scratch, takeScratch } from "../../ffi/call.ts"
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from "../../ffi/constants/poll.ts"
import type { PollFd } from "../../ffi/poll.ts"

export interface Pump {
  readonly from: number
  readonly to: number
  /** Changes what has been read, in place; returns the new length. */
  readonly filter?: (bytes: Uint8Array) => Uint8Array
  /** Called once when `from` has ended and all is written, or `to` takes no more (`refused`, with what errno). */
  readonly ended?: (refused: boolean, errno: number) => void
  /** `to` is a file, which takes what it is given. */
  readonly toFile?: boolean
  readonly buffer: Scratch
  start: number
  end: number
  done: boolean
}

const EAGAIN = -11
const EINTR = -4
const SIZE = 65536
// POLLOUT promises this much without blocking: pipe(7). A terminal takes less, and says so by a short write.
const MOST_WRITTEN = 4096

export function createPump(options: Pick<Pump, "from" | "to" | "filter" | "ended" | "toFile">): Pump {
  return { ...options, buffer: takeScratch(SIZE), start: 0, end: 0, done: false }
}

/** Whether there is something that its target has not taken yet. */
export const isPending = ({ start, end, done }: Pump): boolean => !done && start < end

/** What to poll for this pump: room for what is pending, or more to read. */
export const wanted = (pump: Pump): PollFd =>
  isPending(pump) ? { fd: pump.to, events: POLLOUT } : { fd: pump.from, events: POLLIN }

function finish(pump: Pump, refused = false, errno = 0): void {
  pump.done = true
  pump.ended?.(refused, errno)
}

function readMore(pump: Pump): void {
  const { buffer, filter } = pump
  const size = callResult("read", pump.from, buffer.address, SIZE)
  if (size === EAGAIN || size === EINTR) return
  // EIO is how a terminal's master tells that nobody holds its slave any more.
  if (size <= 0) {
    finish(pump)
    return
  }
  pump.start = 0
  pump.end = size
  if (!filter) return
  const kept = filter(buffer.bytes.subarray(0, size))
  buffer.bytes.set(kept)
  pump.end = kept.length
}

function writeSome(pump: Pump): void {
  const { buffer, start, end } = pump
  const most = pump.toFile ? end - start : Math.min(end - start, MOST_WRITTEN)
  const size = callResult("write", pump.to, buffer.address + start, most)
  if (size === EAGAIN || size === EINTR) return
  if (size < 0) finish(pump, true, -size)
  else pump.start += size
}

/** Goes on after a poll of `wanted` said `events`. */
export function advance(pump: Pump, events: number): void {
  if (events === 0 || pump.done) return
  if (pump.start < pump.end) {
    if (events & POLLOUT) writeSome(pump)
    else if (events & (POLLERR | POLLHUP)) finish(pump, true)
  } else {
    readMore(pump)
    if (pump.toFile && pump.start < pump.end) writeSome(pump)
  }
}

/** A last word into a pump's target, e.g. the end-of-file character of a terminal. */
export function writeTo(fd: number, bytes: Uint8Array): void {
  if (bytes.length > SCRATCH_SIZE) throw new RangeError("too long")
  scratch.bytes.set(bytes)
  callResult("write", fd, scratch.address, bytes.length)
}
