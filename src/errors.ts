/** The errors that reach people: what toybox was doing, why it failed, and a remedy where one is known. */
import { isErrno, SyscallError } from "../ffi/errno.ts"

export interface ErrorOptions {
  /** One line: what to do about it. */
  hint?: string | undefined
  cause?: unknown
  exitCode?: number
}

/** Exit codes as docker run has them. */
export const EXIT_TOYBOX = 125
export const EXIT_CANNOT_INVOKE = 126
export const EXIT_NOT_FOUND = 127
export const EXIT_KILLED = 128 + 9

/** What goes on for ever ends so when nobody reads it: as any program does, but for the signal (SIGPIPE), which Bun ignores. */
export const EXIT_UNREAD = 128 + 13

/** A failure with an exit code of its own. */
export class ToyboxError extends Error {
  override readonly name: string = "ToyboxError"
  readonly hint: string | undefined
  readonly exitCode: number

  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.hint = options.hint
    this.exitCode = options.exitCode ?? EXIT_TOYBOX
  }
}

/** Bad input: names the input and the accepted forms. */
export class UsageError extends ToyboxError {
  override readonly name = "UsageError"
}

/** The message of an error followed by those of its causes. */
export function errorChain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${errorChain(error.cause)}`
}

const FILE_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "it is a directory",
}

/** Why a file cannot be read that somebody has named, to be the cause of an error: in words, or as the call that failed. */
export function fileFault(cause: unknown): unknown {
  const words = cause instanceof SyscallError ? FILE_FAULTS[cause.errno] : undefined
  return words === undefined ? cause : new Error(words)
}

// Calls that write files: of others the same errno means something else (a limit on namespaces, mounts, watches).
const WRITING = /^(write|open(at2?)?|mkdir(at)?|symlink(at)?|link(at)?|rename(at2?)?|unlink(at)?|ftruncate|fsync)$/

/** For what only root may do. */
export const needsRoot = (what: string): ToyboxError =>
  new ToyboxError(`${what} needs root`, { hint: "use sudo; running as an ordinary user comes with a later release" })

/** What any call may come to. */
function remedyOf(error: Error): string | undefined {
  if (isErrno(error, "EACCES", "EPERM") && process.geteuid?.() !== 0) return "only root may do that: use sudo"
  if (isErrno(error, "EMFILE")) return "toybox may not have so many files open: see ulimit -n"
  if (isErrno(error, "ENFILE")) return "the machine has too many files open: see /proc/sys/fs/file-max"
  if (isErrno(error, "EFBIG")) return "a limit on the size of files is reached: see ulimit -f"
  if (!isErrno(error, "ENOSPC", "EDQUOT", "EROFS") || !WRITING.test(error.syscall)) return undefined
  return error.errno === "EROFS"
    ? "the file system is read-only: toybox doctor looks at it (state directory)"
    : "the disk is full: toybox doctor tells how much is left (free space), toybox df what takes it"
}

/** The first hint in an error and its causes. */
export function errorHint(error: unknown): string | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    const hint = e instanceof ToyboxError ? e.hint : remedyOf(e)
    if (hint) return hint
  }
  return undefined
}
