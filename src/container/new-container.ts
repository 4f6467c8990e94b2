/** A container's place among the others: its id, name, directory and lock. */
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import type { FileLock } from "../state-file.ts"
import type { Live } from "./bring-up.ts"
import { enterRunning } from "./entry.ts"
import { releaseName, takeName } from "./name.ts"
import { proposeName } from "./names.ts"
import type { ContainerRequest } from "./request.ts"
import {
  type ContainerHead,
  containerPath,
  leaveRunning,
  makeContainerDirectory,
  newId,
  type RunningRecord,
  updateRunning,
} from "./state.ts"

// With many containers the names run short: digits make more.
const proposal = (attempt: number) =>
  attempt < 5 ? proposeName(newId()) : `${proposeName(newId())}_${newId().slice(0, 6)}`

const fresh = () => ({
  places: [],
  held: [],
  mounting: new Map<string, number>(),
  recorded: false,
  root: null,
  manager: null,
  ended: false,
  actor: null,
  outcome: null,
  pidFile: undefined,
})

const recordAgain = ({ name, autoRemove }: ContainerHead): RunningRecord => {
  const started = new Date().toISOString()
  return { pid: 0, startTime: "", started, autoRemove, name, cgroup: null }
}

/** One that is there already, and entered among those that run. */
export function liveAgain(paths: Paths, head: ContainerHead, lock: FileLock): Live {
  const { id } = head
  const record = recordAgain(head)
  return { ...fresh(), recorded: true, id, directory: containerPath(paths, id), lock, record, head, actor: head }
}

/** Enters one that is there already among those that run; null where it is among them. */
export function enterAgain(paths: Paths, head: ContainerHead): Live | null {
  const lock = enterRunning(paths, head.id, recordAgain(head))
  return lock && liveAgain(paths, head, lock)
}

/** Enters a new container among those that run. Throws where its name is taken. */
export function enter(request: ContainerRequest, paths: Paths): Live {
  const id = newId()
  const record: RunningRecord = {
    pid: 0,
    startTime: "",
    started: new Date().toISOString(),
    autoRemove: request.autoRemove,
    name: request.name ?? proposal(0),
    cgroup: null,
    ...(request.obtainedMs > 0 ? { obtainedMs: request.obtainedMs } : {}),
  }
  // First, because it tells the next toybox what there may be to undo, should this one be killed.
  const lock = enterRunning(paths, id, record)
  if (lock === null) throw new ToyboxError(`container ${id} is there already`)
  try {
    for (let attempt = 1; !takeName(paths, record.name, id, request.name !== undefined || attempt > 10); attempt++) {
      record.name = proposal(attempt)
      updateRunning(lock, record)
    }
    return { ...fresh(), id, directory: makeContainerDirectory(paths, id), lock, record, head: null }
  } catch (error) {
    releaseName(paths, record.name, id)
    leaveRunning(lock)
    throw error
  }
}
