/** The log that engines read: lines of logrus, as text or JSON. */
import { O_APPEND, O_CREAT, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { close, open, writeAll } from "../../../ffi/fs.ts"
import { errorChain, errorHint, UsageError } from "../../errors.ts"
import { divertNotices, toStandardError } from "../../log.ts"

export interface OciLog {
  /** A failure: to the log, and to standard error. */
  error(error: unknown): void
  path: string | undefined
  format: "text" | "json"
}

function line(format: OciLog["format"], level: "error" | "warning", message: string): string {
  const time = new Date().toISOString()
  return format === "json"
    ? `${JSON.stringify({ level, msg: message, time })}\n`
    : `time="${time}" level=${level} msg=${JSON.stringify(message)}\n`
}

/**
 * With a log, notices go there alone, as runc has it: engines give the container's own standard error. Throws UsageError for a
 * log or a format that is not known.
 */
export function openLog(path: string | undefined, format: string | undefined, debug: boolean): OciLog {
  const shape = format ?? "text"
  if (shape !== "text" && shape !== "json")
    throw new UsageError(`--log-format: "${shape}" is not known (use text or json)`)
  if (path?.startsWith("syslog:") || path?.startsWith("journald:"))
    throw new UsageError(`--log: ${path}: only files are written`)
  const file = path === undefined || path === "" ? undefined : path.replace(/^file:/, "")
  if (file !== undefined) divertNotices((text) => append(file, line(shape, "warning", text)))
  return {
    path: file,
    format: shape,
    error(error) {
      const message = errorChain(error)
      const hint = errorHint(error)
      // Of a log, docker and containerd show the last message alone.
      if (file !== undefined) append(file, line(shape, "error", hint ? `${message} (${hint})` : message))
      toStandardError(message)
      if (hint) toStandardError(`hint: ${hint}`)
      if (debug && error instanceof Error) toStandardError(error.stack ?? "")
    },
  }
}

function append(path: string, text: string): void {
  try {
    const fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    writeAll(fd, new TextEncoder().encode(text))
    close(fd)
  } catch (error) {
    // What went wrong in the first place is told all the same.
    toStandardError(`cannot write the log ${path}: ${errorChain(error)}`)
  }
}
