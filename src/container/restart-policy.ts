/** docker's restart policies: whether a container that has ended is started again, and when. Pure. */

export type RestartPolicy =
  | { name: "always" | "unless-stopped" }
  /** `most`: so often; null for any number. */
  | { name: "on-failure"; most: number | null }

/** What is known of a policy's doings while it lives. */
export interface RestartState {
  /** How often it has started the container again; and how long the last wait was, in milliseconds. */
  restarts?: number
  backOff?: number
  /** The container has ended, and its supervisor waits to start it again. */
  restarting?: true
}

/** How a run has ended. */
export interface RunEnd {
  exitCode: number
  /** Somebody has asked toybox to end it. */
  asked: boolean
  /** How often it has been started again before, by its policy. */
  restarts: number
}

/** Whether it is started again at once. */
export function restartsAfter(policy: RestartPolicy, { exitCode, asked, restarts }: RunEnd): boolean {
  if (asked) return false
  return policy.name !== "on-failure" || (exitCode !== 0 && (policy.most === null || restarts < policy.most))
}

/** Whether it is started when the machine is: what was stopped stays so, but with "always". */
export function startsAtBoot(policy: RestartPolicy, { exitCode, asked }: Omit<RunEnd, "restarts">): boolean {
  if (policy.name === "always") return true
  return !asked && (policy.name === "unless-stopped" || exitCode !== 0)
}

const FIRST = 100
const MOST = 60_000
const LONG_ENOUGH = 10_000

/** How long to wait, in milliseconds: twice as long as before, unless it has run for ten seconds. */
export function backOff(before: number | undefined, ran: number): number {
  return before === undefined || ran >= LONG_ENOUGH ? FIRST : Math.min(before * 2, MOST)
}

/** As docker writes it. */
export const formatPolicy = (policy: RestartPolicy | undefined): string =>
  policy === undefined
    ? "no"
    : policy.name === "on-failure" && policy.most !== null
      ? `on-failure:${policy.most}`
      : policy.name
