/** `delete` and what else ends a container. */
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { rename } from "../../../ffi/fs.ts"
import { removeTree } from "../../../ffi/remove-tree.ts"
import { kill } from "../../../ffi/signal.ts"
import { detectCgroups } from "../../cgroup/detect.ts"
import { openCgroup, planCgroup } from "../../cgroup/manager.ts"
import { errorChain, ToyboxError } from "../../errors.ts"
import { notice } from "../../log.ts"
import type { Spec } from "../../oci/runtime.ts"
import { cgroupRequest } from "./facts.ts"
import { runHooks } from "./hooks.ts"
import { unmountRoot } from "./host-mounts.ts"
import type { OciRecord } from "./record.ts"
import {
  containerDirectory,
  DamagedRecord,
  isAlive,
  listRecords,
  lockContainer,
  NoSuchContainer,
  type OciLock,
  ociState,
  readConfig,
  readRecord,
  statusOf,
  unlock,
} from "./state.ts"
import { endLeft } from "./still.ts"

const PATIENCE = 10_000

/** Whether a process of the container was ever put into its cgroup; else those in it are of others, who had it first. */
const hasEntered = ({ pid, complete }: OciRecord) => pid > 0 || complete

/** Kills all that is left of a container and waits until its first process is gone. */
export function endProcesses(record: OciRecord): void {
  const manager = record.cgroup && hasEntered(record) ? openCgroup(record.cgroup) : null
  for (const deadline = performance.now() + PATIENCE; ; Bun.sleepSync(1)) {
    if (isAlive(record)) kill(record.pid, SIGKILL)
    if (manager && manager.pids().length > 0) manager.kill()
    else if (!isAlive(record)) return
    if (performance.now() > deadline) throw new ToyboxError(`container ${record.id} does not end`)
  }
}

function removeCgroup(record: OciRecord): void {
  if (!record.cgroup) return
  const manager = openCgroup(record.cgroup)
  // Of a create that was killed: its child, if there was one, dies with it.
  if (hasEntered(record) || manager.pids().length === 0) manager.remove()
}

/** Something of the end that must not keep the rest from being done: it is told only. */
function attempt<Result>(act: () => Result): Result | undefined {
  try {
    return act()
  } catch (error) {
    notice(errorChain(error))
    return undefined
  }
}

/**
 * Ends a locked container, gives back all it held, and runs its poststop hooks, whose failures are told only. `known` is its
 * configuration, by who has read it already.
 */
export function destroy(root: string, record: OciRecord, lock: OciLock, known?: Spec): void {
  endProcesses(record)
  removeCgroup(record)
  const spec = known ?? attempt(() => readConfig(root, record))
  if (spec) attempt(() => unmountRoot(record, spec))
  const trash = `${root}/.${record.id}.${process.pid}`
  rename(containerDirectory(root, record.id), trash)
  removeTree(trash)
  unlock(lock)
  for (const hook of spec?.hooks?.poststop ?? []) {
    attempt(() => runHooks("poststop", [hook], ociState(record, "stopped")))
  }
}

/**
 * The record of a container whose state.json is damaged, as far as its configuration tells it: all of its processes are in its
 * cgroup.
 */
function recordFromConfig(root: string, id: string): OciRecord {
  const lost: OciRecord = {
    ociVersion: "1.0.2",
    ...{ id, bundle: "", rootfs: "", created: "", owner: "" },
    ...{ pid: 0, startTime: "", complete: true, cgroup: null, annotations: {} },
  }
  try {
    const spec = readConfig(root, lost)
    return { ...lost, cgroup: planCgroup(detectCgroups(), cgroupRequest(spec, id)).handle }
  } catch (error) {
    if (!(error instanceof ToyboxError)) throw error
    notice(`${errorChain(error)}; processes of container ${id} may be left`)
    return lost
  }
}

/**
 * Removes a container. Throws where it has not ended, unless `force`; with `force` one that is not there is none to remove.
 * `known` as in destroy.
 */
export function deleteContainer(root: string, id: string, force: boolean, known?: Spec): void {
  let lock: OciLock
  try {
    lock = lockContainer(root, id)
  } catch (error) {
    if (force && error instanceof NoSuchContainer) return
    throw error
  }
  let record: OciRecord
  try {
    record = readRecord(root, id)
  } catch (error) {
    if (!force || !(error instanceof DamagedRecord)) {
      unlock(lock)
      throw error
    }
    record = recordFromConfig(root, id)
  }
  try {
    const status = record.complete ? statusOf(root, record) : "stopped"
    if (status !== "stopped" && !force) {
      throw new ToyboxError(`cannot delete container ${id} that is not stopped: ${status}`, {
        hint: "kill it first, or use delete --force",
      })
    }
  } catch (error) {
    unlock(lock)
    throw error
  }
  destroy(root, record, lock, known)
  if (record.complete) return
  // Who was making it was killed, and may have had others stand still: only now nobody is left whom they must not see.
  for (const { id, cgroup } of listRecords(root))
    if (cgroup) attempt(() => endLeft(containerDirectory(root, id), cgroup))
}
