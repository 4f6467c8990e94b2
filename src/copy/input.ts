/** Standard input that may stand still: signals have their turn meanwhile. */
import { POLLIN } from "../../ffi/constants/poll.ts"
import { poll } from "../../ffi/poll.ts"
import { readFile } from "../image/layer/read-file.ts"

const WAIT = 100

/** The bytes of an open file or pipe. Throws the signal's reason when it is aborted. */
export async function* readPatiently(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const bytes = readFile(fd)
  for (;;) {
    while (poll([{ fd, events: POLLIN }], WAIT)[0] === 0) {
      await Bun.sleep(1)
      signal.throwIfAborted()
    }
    const { done, value } = await bytes.next()
    if (done) return
    yield value
  }
}
