/** The end of a detached container, as its supervisor sees it. */

import { unlink } from "../../ffi/fs.ts"
import type { WaitStatus } from "../../ffi/signal.ts"
import { openCgroup } from "../cgroup/manager.ts"
import type { Paths } from "../paths.ts"
import { attachPath } from "./attach-protocol.ts"
import { cleanUp } from "./clean-up.ts"
import { describeEnding, resultOf } from "./result.ts"
import { containerPath, readHead, readRunning, runningPath } from "./state.ts"

/** Records how it ended and gives back what it held, or removes it (--rm); returns the exit code. */
export function finish(paths: Paths, id: string, lockFd: number, status: WaitStatus): number {
  const record = readRunning(paths, id)
  if (record === null) throw new Error(`container ${id} has no record of its run`)
  const manager = record.cgroup ? openCgroup(record.cgroup) : null
  const ending = { status, reports: { failures: [] }, executed: true }
  const description = describeEnding(ending, manager)
  const live = {
    id,
    directory: containerPath(paths, id),
    lock: { fd: lockFd, path: runningPath(paths, id) },
    record,
    recorded: true,
    head: null,
    root: null,
    places: [],
    manager,
    ended: false,
    actor: readHead(paths, id),
    outcome: description,
  }
  const result = record.autoRemove ? null : resultOf(ending, record, manager, description)
  unlink(attachPath(paths, id))
  cleanUp(paths, live, result)
  return description.exitCode
}
