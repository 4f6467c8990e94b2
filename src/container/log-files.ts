/** Where the output of a container is kept: files of its directory, the newest first. */
import type { LogLimits } from "./log-limits.ts"

export interface LogFiles {
  /** The container's directory. */
  directory: string
  limits: LogLimits
}

/** The n-th newest file; 0 is the one that is written. */
export const logPath = (directory: string, n: number): string => `${directory}/container.log${n === 0 ? "" : `.${n}`}`

/** A log never fills a disk. */
export const DEFAULT_LOG: LogLimits = { maxSize: 10_000_000, maxFiles: 3 }
