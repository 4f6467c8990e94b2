/** A password from whoever sits at the terminal, or from a pipe. */
import { O_RDWR } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open, read, readAll, writeAll } from "../../ffi/fs.ts"
import { setTerminalSettings, silentSettings, terminalSettings } from "../../ffi/tty.ts"
import { UsageError } from "../errors.ts"

const MAX_PASSWORD = 64 * 1024
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Standard input as a password: one end of line is not part of it. Throws UsageError where there is nothing. */
export function passwordFromInput(): string {
  const text = decode(readAll(0, MAX_PASSWORD)).replace(/\r?\n$/, "")
  if (text === "") throw new UsageError("--password-stdin: nothing came on standard input")
  return text
}

/** Asks at the terminal; with `silent` what is typed is not shown. Throws UsageError where there is no terminal. */
export function ask(question: string, silent: boolean): string {
  let fd: number
  try {
    fd = open("/dev/tty", O_RDWR)
  } catch (error) {
    if (!isErrno(error, "ENXIO", "ENOENT", "ENOTTY", "EIO")) throw error
    throw new UsageError("there is no terminal to ask at", {
      hint: "give the name with --username and the password on standard input, with --password-stdin",
    })
  }
  const settings = terminalSettings(fd)
  try {
    // ISIG goes, too: an interrupt must not leave a terminal that shows nothing. Ctrl-C comes as a character.
    if (silent && settings) setTerminalSettings(fd, silentSettings(settings))
    writeAll(fd, new TextEncoder().encode(question))
    // The terminal gives a line at a time.
    const line = decode(read(fd))
    if (silent) writeAll(fd, new TextEncoder().encode("\n"))
    if (line.includes("\x03") || line === "") throw new UsageError("given up: nothing was entered")
    return line.replace(/\r?\n$/, "")
  } finally {
    if (silent && settings) setTerminalSettings(fd, settings)
    close(fd)
  }
}
