/** Ending one process of toybox's own, and no other that has come to have its number. */
import { callResult } from "../../ffi/call.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { close } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { startTime } from "./state.ts"

const PATIENCE = 10_000

/** Kills a process that a record names, and waits until it is dead; where there is none, nothing: pidfd_open(2). */
export function endProcess(named: { pid: number; startTime: string } | undefined): void {
  if (!named) return
  const pidFd = callResult("pidfd_open", named.pid, 0)
  if (pidFd < 0) return
  try {
    if (startTime(named.pid) !== named.startTime) return
    callResult("pidfd_send_signal", pidFd, SIGKILL, null, 0)
    poll([{ fd: pidFd, events: POLLIN }], PATIENCE)
  } finally {
    close(pidFd)
  }
}
