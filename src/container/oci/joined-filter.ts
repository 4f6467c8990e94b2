/** The filter of a process that joins a container, and its supervisor: SCMP_ACT_NOTIFY. */
import { POLLIN } from "../../../ffi/constants/poll.ts"
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { close } from "../../../ffi/fs.ts"
import { socketPair } from "../../../ffi/pipe.ts"
import { poll } from "../../../ffi/poll.ts"
import { kill } from "../../../ffi/signal.ts"
import { receiveFd, sendFd } from "../../../ffi/tty.ts"
import { errorChain } from "../../errors.ts"
import { type Reports, readReports } from "../../launch/index.ts"
import { notice } from "../../log.ts"
import type { Spec } from "../../oci/runtime.ts"
import type { SeccompProgram } from "../../plan/facts.ts"
import type { Entering } from "../enter.ts"
import { readFilter } from "./filter.ts"
import type { OciState } from "./state.ts"

/** What a process that joins loads. */
export interface JoinedFilter {
  filter: SeccompProgram | undefined
  /** For the process: where it sends its notify descriptor. The caller closes it. */
  listenerFd?: number
  /** Reads reports until the supervisor of the process has its descriptor, and knows its number; at once where there is none. */
  introduce(entering: Entering, reports: Reports): void
  /** Of what is left. */
  close(): void
}

/** Reads what there is of reports; false at their end. */
export function awaitReports(reportFd: number, reports: Reports): boolean {
  for (;;) {
    const [events] = poll([{ fd: reportFd, events: POLLIN }], null)
    if (events) return readReports(reportFd, reports, false)
  }
}

/** Throws ToyboxError where the supervisor cannot be reached. `state` is the container's. */
export async function joinedFilter(root: string, spec: Spec, state: OciState): Promise<JoinedFilter> {
  const filter = (await readFilter(root, state.id, spec)) ?? undefined
  const { listenerPath } = spec.linux.seccomp ?? {}
  const plain = { filter, introduce: () => {}, close: () => {} }
  if (filter === undefined || listenerPath === undefined) return plain
  const { connectSupervisor, isSupervised, processState } = await import("../seccomp-listener.ts")
  if (!isSupervised(spec)) return plain
  const supervisor = connectSupervisor(listenerPath)
  // Not the process itself tells the supervisor: in its pid namespace it does not know the number that it has outside.
  const [own, listenerFd] = socketPair()
  return {
    filter: { ...filter, listener: { socketFd: listenerFd, message: new Uint8Array(1) } },
    listenerFd,
    introduce(entering, reports) {
      if (entering.reportsPid) while (reports.pid === undefined) if (!awaitReports(entering.reportFd, reports)) return
      const pid = reports.pid ?? entering.pid
      const descriptor = receiveFd(own)
      // It has ended before; why, the reports tell.
      if (descriptor === null) return
      try {
        sendFd(supervisor, processState(spec, pid, state), descriptor)
      } catch (error) {
        notice(`linux.seccomp.listenerPath: the supervisor at ${listenerPath} is gone: ${errorChain(error)}`)
        kill(pid, SIGKILL)
      } finally {
        close(descriptor)
      }
    },
    close() {
      close(own)
      close(supervisor)
    },
  }
}
