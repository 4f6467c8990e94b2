/** Messages to people, on standard error; results, on standard output. */
import { POLLOUT } from "../ffi/constants/poll.ts"
import { isErrno } from "../ffi/errno.ts"
import { writeAll } from "../ffi/fs.ts"
import { poll } from "../ffi/poll.ts"

/** What would be a command to a terminal: messages have words of images, archives and registries in them. */
const COMMANDS = /(?![\t\n])\p{Cc}/gu

let receive = toStandardError

/** One line at once, in the middle of a run: also from where nothing can be awaited. */
export const notice = (text: string): void => receive(text)

/** Has notices go somewhere else than to standard error, which may be the command's. */
export function divertNotices(to: (text: string) => void): void {
  receive = to
}

/** A line for people, wherever notices go. */
export function toStandardError(text: string): void {
  const bytes = new TextEncoder().encode(`toybox: ${text.replace(COMMANDS, "?")}\n`)
  try {
    writeAll(2, bytes)
  } catch {
    // Nobody reads standard error any more: there is nobody to tell.
  }
}

const PART = 4096

/**
 * Lines on standard output, all of them written when it returns: process.stdout keeps what a pipe does not take at once,
 * and loses it at the exit. False where the reader has seen enough, and is gone.
 */
export function print(lines: readonly string[]): boolean {
  const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""))
  try {
    for (let position = 0; position < bytes.length; position += PART) {
      // A pipe with room for a page takes it whole, even one that somebody has made non-blocking.
      poll([{ fd: 1, events: POLLOUT }], null)
      writeAll(1, bytes.subarray(position, position + PART))
    }
    return true
  } catch (error) {
    if (!isErrno(error, "EPIPE")) throw error
    return false
  }
}

/** consola with our plain form; imported here only, because loading it takes longer than making a container. */
export async function logger() {
  const { createConsola } = await import("consola/basic")
  return createConsola({
    reporters: [
      {
        log: ({ type, args }) => notice(`${type === "error" || type === "fatal" ? "" : `${type}: `}${args.join(" ")}`),
      },
    ],
  })
}
