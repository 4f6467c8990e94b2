/** What a container's process tells on the way to its command. */
import { POLLIN } from "../../ffi/constants/poll.ts"
import { readLink } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { type Reports, readReports } from "../launch/index.ts"

export interface Child {
  /** The process, or one that makes it and reports who it is. */
  pid: number
  reportFd: number
  /** A pidfd of the supervisor that makes it; negative: there is none. */
  maker: number
}

/** Waits for a report; false where something failed before it came, or the process was killed. */
export function awaitReport(
  { reportFd, maker }: Omit<Child, "pid">,
  reports: Reports,
  traced: boolean,
  hasCome: () => boolean,
): boolean {
  while (!hasCome()) {
    if (reports.failures.length > 0) return false
    const sources = [reportFd, maker].map((fd) => ({ fd, events: POLLIN }))
    const [events = 0, ended] = poll(sources, null)
    if (events & POLLIN) readReports(reportFd, reports, traced)
    // The end is left to who reads to there. It does not come by a child that has lost its supervisor before it asked to end with it.
    else if (events || ended) return false
  }
  return true
}

/** Whether the container's process has failed by now, or was killed. */
export function hasFailed({ pid, reportFd }: Child, reports: Reports, traced: boolean): boolean {
  const [events = 0] = poll([{ fd: reportFd, events: POLLIN }], 0)
  if (events & POLLIN) readReports(reportFd, reports, traced)
  // It is dead for milliseconds before it can be seen as such, while its mounts go; its namespaces go first.
  return reports.failures.length > 0 || readLink(`/proc/${reports.pid ?? pid}/ns/net`) === null
}
