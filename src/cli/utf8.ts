/** Arguments that are no text. */
import { O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { close, open, readAll } from "../../ffi/fs.ts"
import { UsageError } from "../errors.ts"

/** Throws UsageError where an argument of this process is not UTF-8: what JavaScript made of it is not what was meant. */
export function checkArguments(): void {
  const fd = open("/proc/self/cmdline", O_RDONLY)
  const bytes = readAll(fd)
  close(fd)
  // A word may hold the replacement character itself: only the bytes tell.
  const strict = new TextDecoder("utf-8", { fatal: true })
  for (let start = 0, number = 0; start < bytes.length; number++) {
    const end = bytes.indexOf(0, start)
    const word = bytes.subarray(start, end)
    try {
      strict.decode(word)
    } catch {
      throw new UsageError(`argument ${number} is not UTF-8: ${JSON.stringify(new TextDecoder().decode(word))}`, {
        hint: "have a shell in the container make it, for example with printf",
      })
    }
    start = end + 1
  }
}
