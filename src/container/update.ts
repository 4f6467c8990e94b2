/** Other limits, and another restart policy, for a container that is there. */
import { detectCgroups } from "../cgroup/detect.ts"
import type { RequestedResources } from "../cgroup/flags.ts"
import { mergeRequested, mergeResources } from "../cgroup/merge.ts"
import { onlineList } from "../cgroup/online.ts"
import type { CgroupHandle } from "../cgroup/plan.ts"
import { updateCgroup } from "../cgroup/update.ts"
import { errorChain, ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { LinuxResources } from "../oci/resources.ts"
import type { Paths } from "../paths.ts"
import { recordEvents } from "./events.ts"
import type { RestartPolicy } from "./restart-policy.ts"
import { type ContainerHead, type ContainerRecord, type RunningRecord, readHead, resolveId } from "./state.ts"
import { readStored, type StoredRequest } from "./stored-request.ts"
import { changeRunning, changeStored, withContainer } from "./with-container.ts"

/** What is to be another; limits are read with those that the container has (`wants`). */
export interface Update {
  limits: (current: RequestedResources) => RequestedResources | null
  /** Undefined: as it is; null: none. */
  restart: RestartPolicy | null | undefined
}

/** What the kernel has where nobody has asked for anything. */
const unlimited = (): LinuxResources => ({
  memory: { limit: -1, swap: -1, reservation: -1 },
  cpu: { quota: -1, period: 100_000, shares: 1024, cpus: onlineList("cpu"), mems: onlineList("node") },
})

type Groups = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

/** Of `all` only what `like` has, too. */
function only(all: LinuxResources, like: LinuxResources): LinuxResources {
  const picked = Object.entries(like as Groups).map(([group, fields = {}]) => [
    group,
    Object.fromEntries(Object.entries((all as Groups)[group] ?? {}).filter(([field]) => Object.hasOwn(fields, field))),
  ])
  return Object.fromEntries(picked)
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
function apply(
  paths: Paths,
  id: string,
  running: RunningRecord,
  before: RequestedResources,
  change: RequestedResources,
  then: () => void,
) {
  if (!running.cgroup) throw new ToyboxError("it has no cgroup")
  // With what it is in only now.
  let { cgroup } = running
  const cgroups = detectCgroups()
  try {
    const announce = (handle: CgroupHandle) => changeRunning(paths, id, { ...running, cgroup: handle })
    const { handle, notices } = updateCgroup(cgroups, cgroup, change, undefined, announce)
    for (const text of notices) notice(text)
    cgroup = handle
    changeRunning(paths, id, { ...running, cgroup })
    then()
  } catch (error) {
    const old = only(mergeResources(unlimited(), before.resources), change.resources)
    try {
      updateCgroup(cgroups, cgroup, { resources: old, options: {}, defaults: ["memory.swap"] })
    } catch (again) {
      notice(`the limits of before could not be set again: ${errorChain(again)}`)
    }
    throw error
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
      const before = current(id)
      const change = limits(before)
      const kept = () => keep(paths, id, change, restart)
      try {
        if (change) apply(paths, id, running, before, change, kept)
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
