/** Arguments and variables that are no text. */
import { O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { close, open, readAll } from "../../ffi/fs.ts"
import { UsageError } from "../errors.ts"

const HINT = { hint: "have a shell in the container make it, for example with printf" }

/** The words of a file of /proc/self, of which each ends with a NUL: those that are not UTF-8, and their numbers. */
function badWords(file: string): { number: number; text: string }[] {
  const fd = open(`/proc/self/${file}`, O_RDONLY)
  const bytes = readAll(fd)
  close(fd)
  // A word may hold the replacement character itself: only the bytes tell.
  const strict = new TextDecoder("utf-8", { fatal: true })
  const found: { number: number; text: string }[] = []
  for (let start = 0, number = 0; start < bytes.length; number++) {
    const end = bytes.indexOf(0, start)
    const word = bytes.subarray(start, end)
    try {
      strict.decode(word)
    } catch {
      found.push({ number, text: new TextDecoder().decode(word) })
    }
    start = end + 1
  }
  return found
}

/** Throws UsageError where an argument of this process is not UTF-8: what JavaScript made of it is not what was meant. */
export function checkArguments(): void {
  const [bad] = badWords("cmdline")
  if (bad) throw new UsageError(`argument ${bad.number} is not UTF-8: ${JSON.stringify(bad.text)}`, HINT)
}

/** The value of a variable of the environment. Throws UsageError where it is not UTF-8, as of arguments. */
export function variableOf(name: string, remedy: { hint?: string } = HINT): string | undefined {
  const value = process.env[name]
  if (value?.includes("\uFFFD") && badWords("environ").some(({ text }) => text === `${name}=${value}`))
    throw new UsageError(`${name} in the environment is not UTF-8: ${JSON.stringify(value)}`, remedy)
  return value
}
