/** A local file as a stream. */
import { callResult, failure } from "../../../ffi/call.ts"
import { addressOf } from "../../../ffi/prepared.ts"

const CHUNK = 512 * 1024
const EINTR = -4

/** The bytes of an open file (or pipe) from where it stands. Throws SyscallError. */
export async function* readFile(fd: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const bytes = Buffer.allocUnsafeSlow(CHUNK)
    const count = callResult("read", fd, addressOf(bytes), CHUNK)
    if (count === EINTR) continue
    if (count < 0) throw failure("read", count, fd, CHUNK)
    if (count === 0) return
    yield bytes.subarray(0, count)
    // Signals and progress have their turn, also where nothing else waits.
    await new Promise(setImmediate)
  }
}
