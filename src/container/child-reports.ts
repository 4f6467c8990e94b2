/** What a container's process tells on the way to its command, while this toybox has the other end of the pipe open, too. */
import { POLLIN } from "../../ffi/constants/poll.ts"
import { tryReadText } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { type Reports, readReports } from "../launch/index.ts"

const PATIENCE = 500

const hasEnded = (pid: number) => /^\d+ \(.*\) [ZX]/s.test(tryReadText(`/proc/${pid}/stat`) ?? "0 () X")

export interface Child {
  /** The process, or one that makes it and reports who it is. */
  pid: number
  reportFd: number
}

/** Waits for a report; false where something failed before it came, or the process was killed. */
export function awaitReport(child: Child, reports: Reports, traced: boolean, hasCome: () => boolean): boolean {
  while (!hasCome()) {
    if (reports.failures.length > 0) return false
    if (poll([{ fd: child.reportFd, events: POLLIN }], PATIENCE)[0]) readReports(child.reportFd, reports, traced)
    // The pipe has no end before this toybox closes its own.
    else if (hasEnded(reports.pid ?? child.pid)) return false
  }
  return true
}

/** Whether the container's process has failed by now, or was killed. */
export function hasFailed({ pid, reportFd }: Child, reports: Reports, traced: boolean): boolean {
  if (poll([{ fd: reportFd, events: POLLIN }], 0)[0]) readReports(reportFd, reports, traced)
  return reports.failures.length > 0 || hasEnded(reports.pid ?? pid)
}
