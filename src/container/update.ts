/** Other limits, and another restart policy, for a container that is there. */
import { detectCgroups } from "../cgroup/detect.ts"
import type { RequestedResources } from "../cgroup/flags.ts"
import { mergeRequested, mergeResources } from "../cgroup/merge.ts"
import type { CgroupHandle } from "../cgroup/plan.ts"
import { updateCgroup } from "../cgroup/update.ts"
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { recordEvents } from "./events.ts"
import type { RestartPolicy } from "./restart-policy.ts"
import { type ContainerHead, type ContainerRecord, type RunningRecord, readHead, resolveId } from "./state.ts"
import { readStored, type StoredRequest } from "./stored-request.ts"
import { changeRunning } from "./while-up.ts"
import { changeStored, withContainer } from "./with-container.ts"

/** What is to be another; limits are read with those that the container has (`wants`). */
export interface Update {
  limits: (current: RequestedResources) => RequestedResources | null
  /** Undefined: as it is; null: none. */
  restart: RestartPolicy | null | undefined
}

/** Throws where a container cannot have that policy. */
function checkPolicy({ name, autoRemove, detached }: ContainerHead, restart: RestartPolicy | null | undefined): void {
  if (!restart) return
  if (!detached) throw new ToyboxError(`--restart: container ${name} runs in the foreground, and ends with its toybox`)
  if (autoRemove)
    throw new ToyboxError(`--restart: container ${name} is removed when it ends (--rm), and so never started again`)
}

function keep(
  paths: Paths,
  id: string,
  change: RequestedResources | null,
  restart: RestartPolicy | null | undefined,
): void {
  const detachedOf = ({ detached }: ContainerRecord) => {
    if (!detached) return {}
    const { restart: before, ...rest } = detached
    const policy = restart === undefined ? before : restart
    return { detached: { ...rest, ...(policy ? { restart: policy } : {}) } }
  }
  changeStored(paths, id, (record, stored): [ContainerRecord, StoredRequest] => {
    const policy = detachedOf(record)
    if (change === null) return [{ ...record, ...policy }, stored]
    const requested = mergeRequested(stored.requested, change)
    const { spec } = record
    const resources = mergeResources(spec.linux.resources, change.resources)
    return [
      { ...record, ...policy, spec: { ...spec, linux: { ...spec.linux, resources } } },
      { ...stored, requested, process: { ...stored.process, resources: requested.resources } },
    ]
  })
}

/** Sets limits of a running container, where `then` does not fail, nor the kernel refuses one; else all are as before. */
function apply(paths: Paths, id: string, running: RunningRecord, change: RequestedResources, then: () => void) {
  if (!running.cgroup) throw new ToyboxError("it has no cgroup")
  const announce = (handle: CgroupHandle) => changeRunning(paths, id, { ...running, cgroup: handle })
  const { handle, notices, undo } = updateCgroup(detectCgroups(), running.cgroup, change, undefined, announce)
  for (const text of notices) notice(text)
  try {
    changeRunning(paths, id, { ...running, cgroup: handle })
    then()
  } catch (error) {
    throw undo(error)
  }
}

/** Changes a container, which may run, for now and for every start to come. Throws ToyboxError; then it is as it was. */
export function updateContainer(paths: Paths, reference: string, { limits, restart }: Update): void {
  const told = (id: string) => {
    const head = readHead(paths, id)
    if (head) recordEvents(paths, head, ["update"])
  }
  const current = (id: string) => {
    const head = readHead(paths, id)
    // First: nothing is changed where not all can be.
    if (head) checkPolicy(head, restart)
    return readStored(paths, id, head?.name ?? reference).requested
  }
  resolveId(paths, reference)
  withContainer(paths, reference, {
    up: (id, running) => {
      const change = limits(current(id))
      const kept = () => keep(paths, id, change, restart)
      try {
        if (change) apply(paths, id, running, change, kept)
        else kept()
      } catch (cause) {
        throw new ToyboxError(`cannot change ${change ? "the limits of " : ""}${reference}`, { cause })
      }
      told(id)
    },
    down: (id) => {
      keep(paths, id, limits(current(id)), restart)
      told(id)
    },
  })
}
