/** Waiting for several descriptors at once: ppoll(2). */
import { callResult, failure, takeScratch } from "./call.ts"
import { struct } from "./calls.ts"

export interface PollFd {
  /** Negative: not looked at. */
  fd: number
  events: number
}

const MOST = 16
const SIZE = 8
const EINTR = -4
const fds = takeScratch(MOST * SIZE)
const words = new DataView(fds.bytes.buffer, fds.bytes.byteOffset, fds.bytes.length)

/** What happened on each of at most 16 descriptors, as POLL* bits; `milliseconds` null waits for ever. */
export function poll(wanted: readonly PollFd[], milliseconds: number | null): number[] {
  for (let i = 0; i < wanted.length; i++) {
    const { fd, events } = wanted[i] as PollFd
    words.setInt32(i * SIZE, fd, true)
    words.setUint32(i * SIZE + 4, events, true)
  }
  const timeout =
    milliseconds === null ? null : struct([8, Math.floor(milliseconds / 1000)], [8, (milliseconds % 1000) * 1e6])
  const result = callResult("ppoll", fds.address, wanted.length, timeout, null, SIZE)
  if (result < 0 && result !== EINTR) throw failure("ppoll", result)
  return wanted.map((_, i) => (result > 0 ? fds.u16(i * SIZE + 6) : 0))
}
