/** What a container of its own supervisor has besides those of the foreground. */

/** Where output is kept: bytes of a file, and how many files. */
export interface LogLimits {
  maxSize: number
  maxFiles: number
}

/** What the supervisor of a detached container has to know. */
export interface Detached {
  /** Null: nothing is kept. */
  log: LogLimits | null
}
