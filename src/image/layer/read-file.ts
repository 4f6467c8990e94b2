/** A local file, or a pipe, as a stream. */
import { read } from "node:fs"
import { promisify } from "node:util"
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

const readSome = promisify(read)

/** The bytes of a pipe, which another process writes: it is waited for in a thread of Bun's pool. */
export async function* readPipe(fd: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await readSome(fd, Buffer.allocUnsafeSlow(CHUNK), 0, CHUNK, null)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}
