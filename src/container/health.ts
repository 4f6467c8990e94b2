/** Health of containers, by docker's rules: what is asked of them, what came of it, and what that means. Pure. */

/** Times in milliseconds. */
export interface HealthCheck {
  /** Run in the container; healthy is what exits with 0. */
  command: string[]
  interval: number
  timeout: number
  /** In so long after the start no failure counts. */
  startPeriod: number
  /** The interval until it is healthy for the first time, within startPeriod. */
  startInterval: number
  /** So many failures one after the other are unhealthy. */
  retries: number
  /** What is done to it when it becomes that, as podman has it; else nothing. */
  onFailure?: OnFailure
}

export type OnFailure = "kill" | "restart" | "stop"

export type HealthStatus = "starting" | "healthy" | "unhealthy"

/** One run of the command. Times are ISO 8601. */
export interface Probe {
  start: string
  end: string
  /** -1: it took too long. */
  exitCode: number
  output: string
}

/** What is known. */
export interface Health {
  status: HealthStatus
  failingStreak: number
  /** The last ones, the oldest first. */
  log: readonly Probe[]
}

export const UNKNOWN_HEALTH: Health = { status: "starting", failingStreak: 0, log: [] }

const KEPT = 5

/** What a probe makes of the health; `since` is milliseconds from the start of the container to that of the probe. */
export function afterProbe(health: Health, probe: Probe, check: HealthCheck, since: number): Health {
  const log = [...health.log, probe].slice(-KEPT)
  if (probe.exitCode === 0) return { status: "healthy", failingStreak: 0, log }
  if (health.status === "starting" && since < check.startPeriod) return { ...health, log }
  const failingStreak = health.failingStreak + 1
  return { status: failingStreak >= check.retries ? "unhealthy" : health.status, failingStreak, log }
}

/** How long to wait for the next probe, in milliseconds; `since` as of afterProbe. */
export function untilProbe(
  { interval, startInterval, startPeriod }: HealthCheck,
  starting: boolean,
  since: number,
): number {
  return starting && since < startPeriod ? startInterval : interval
}

/** As an image has it: in nanoseconds. */
export const imageHealthcheck = ({ command, interval, timeout, startPeriod, startInterval, retries }: HealthCheck) => ({
  Test: ["CMD", ...command],
  Interval: interval * 1e6,
  Timeout: timeout * 1e6,
  StartPeriod: startPeriod * 1e6,
  StartInterval: startInterval * 1e6,
  Retries: retries,
})
