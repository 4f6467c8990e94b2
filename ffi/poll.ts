/** Waiting for several descriptors at once: ppoll(2). */
import { callResult, failure } from "./call.ts"
import { arena } from "./libc.ts"

export interface PollFd {
  fd: number
  events: number
}

const MOST = 16
const SIZE = 8
const EINTR = -4
const fds = arena.allocate(MOST * SIZE)
const timeout = arena.allocate(16)

/** What happened on each of at most 16 descriptors, as POLL* bits; `milliseconds` null waits for ever. */
export function poll(wanted: readonly PollFd[], milliseconds: number | null): number[] {
  wanted.forEach(({ fd, events }, i) => {
    fds.view.setInt32(fds.offset + i * SIZE, fd, true)
    fds.view.setUint32(fds.offset + i * SIZE + 4, events, true)
  })
  if (milliseconds !== null) {
    timeout.view.setUint32(timeout.offset, Math.floor(milliseconds / 1000), true)
    timeout.view.setUint32(timeout.offset + 8, (milliseconds % 1000) * 1e6, true)
  }
  const result = callResult("ppoll", fds.address, wanted.length, milliseconds === null ? 0 : timeout.address, 0, SIZE)
  if (result < 0 && result !== EINTR) throw failure("ppoll", result)
  return wanted.map((_, i) => (result > 0 ? fds.view.getUint16(fds.offset + i * SIZE + 6, true) : 0))
}
