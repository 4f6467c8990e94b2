/** What a container of its own supervisor has besides those of the foreground. */
import type { HealthCheck } from "./health.ts"
import type { RestartPolicy } from "./restart-policy.ts"

/** Where output is kept: bytes of a file, and how many files. */
export interface LogLimits {
  maxSize: number
  maxFiles: number
}

/** What the supervisor of a detached container has to know. */
export interface Detached {
  /** Null: nothing is kept. */
  log: LogLimits | null
  /** Not given: it is not started again. */
  restart?: RestartPolicy
  /** Not given: nobody asks how it is. */
  health?: HealthCheck
  /** Seconds that each run of it may take; not given: any time. */
  timeout?: number
}
