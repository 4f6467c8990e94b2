import { ToyboxError } from "../errors.ts"
import type { Cgroups } from "./detect.ts"
import { executePlan, ParentGone, removeIfEmpty, type StepTrace } from "./execute.ts"
import { type CgroupIo, hostIo } from "./io.ts"
import { freeze, isFrozen, killAll, listPids, thaw } from "./kill.ts"
import type { CgroupHandle, CgroupPlan, CgroupRequest, JoinTarget } from "./plan.ts"
import { removeDirectory } from "./remove.ts"
import { type CgroupStats, type FinalUsage, readFinalUsage, readMemoryLimit, readOomKills, readStats } from "./stats.ts"
import { readCpusetLevels } from "./v1/cpuset.ts"
import { planV1, wantsCpuset } from "./v1/plan.ts"
import { readV2Facts } from "./v2/facts.ts"
import { planV2 } from "./v2/plan.ts"

/** A container's cgroup, whichever version it is of. */
export interface CgroupManager {
  readonly version: 1 | 2
  /** Plain data, for the state directory; `openCgroup` makes a manager of it again. */
  readonly handle: CgroupHandle
  readonly join: JoinTarget
  stats(): CgroupStats
  finalUsage(): FinalUsage
  oomKills(): number
  /** Bytes; null for none. */
  memoryLimit(): number | null
  freeze(): void
  thaw(): void
  isFrozen(): boolean
  /** Of every process in it and below. */
  pids(): number[]
  /** Kills every process in it. They may be still on their way out when it returns; `remove` waits for them. */
  kill(): void
  /** Removes it with all below, and toybox's own parents once they are empty. To be called again after any failure. */
  remove(): void
}

/** What `createCgroup` gives besides the manager. */
export interface CreatedCgroup {
  readonly manager: CgroupManager
  /** Sentences for the user on what the kernel could not do though nobody insisted. */
  readonly notices: readonly string[]
}

/**
 * The exact list of what `createCgroup` would do. Reads the present state, changes nothing. Throws ToyboxError where the
 * machine cannot do what is asked.
 */
export function planCgroup(cgroups: Cgroups, request: CgroupRequest, io: CgroupIo = hostIo): CgroupPlan {
  if (cgroups.mode === "none") {
    throw new ToyboxError("no cgroup hierarchy is mounted at /sys/fs/cgroup", {
      hint: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    })
  }
  if (cgroups.mode === "unified") return planV2(request, readV2Facts(cgroups.unified, request.path, io))
  const { controllers } = cgroups
  const cpuset = wantsCpuset(request) ? controllers.cpuset : undefined
  const levels = cpuset ? readCpusetLevels(cpuset.mountpoint, request.path, io) : null
  return planV1(request, { controllers, cpuset: levels, memory: null })
}

const ATTEMPTS = 20

export interface CreateOptions {
  readonly trace?: StepTrace
  /** Is told all that may be made, before anything is: what to remove if toybox is killed half-way. */
  readonly announce?: (handle: CgroupHandle) => void
}

/** The handle with the parents that are not there yet, beside toybox's own. */
function withNewParents({ handle, steps }: CgroupPlan, io: CgroupIo): CgroupHandle {
  const shared = steps.flatMap((step) => (step.kind === "mkdir" && step.shared ? [step.dir] : []))
  const made = shared.filter((dir) => !handle.parents.includes(dir) && !io.exists(dir))
  return { ...handle, parents: [...made.reverse(), ...handle.parents] }
}

/** A cgroup that is planned, and not there yet. */
export interface PreparedCgroup {
  readonly handle: CgroupHandle
  readonly join: JoinTarget
  /**
   * Makes it with all its limits; nothing is in it yet. On failure nothing is left and a ToyboxError tells the option, file,
   * value and errno. A parent that a concurrent run just removed is made again.
   */
  create(options?: CreateOptions): CreatedCgroup
}

/** Plans a container's cgroup. Throws ToyboxError where the machine cannot do what is asked. */
export function prepareCgroup(cgroups: Cgroups, request: CgroupRequest, io: CgroupIo = hostIo): PreparedCgroup {
  const first = planCgroup(cgroups, request, io)
  const { handle, join } = first
  const create = ({ trace, announce }: CreateOptions = {}): CreatedCgroup => {
    for (let attempt = 1; ; attempt++) {
      const plan = attempt === 1 ? first : planCgroup(cgroups, request, io)
      announce?.(withNewParents(plan, io))
      try {
        const { createdParents, notices } = executePlan(plan, io, trace)
        const { parents, ...rest } = plan.handle
        const made = { ...rest, parents: [...new Set([...createdParents.toReversed(), ...parents])] }
        return { manager: { ...openCgroup(made, io), join }, notices }
      } catch (error) {
        if (!(error instanceof ParentGone)) throw error
        if (attempt === ATTEMPTS) throw new ToyboxError(`cgroup ${request.path}: its parent is removed again and again`)
      }
    }
  }
  return { handle, join, create }
}

/** Plans and makes a container's cgroup: prepareCgroup. */
export const createCgroup = (
  cgroups: Cgroups,
  request: CgroupRequest,
  { io, ...options }: CreateOptions & { readonly io?: CgroupIo } = {},
): CreatedCgroup => prepareCgroup(cgroups, request, io).create(options)

function joinOf({ version, dirs }: CgroupHandle): JoinTarget {
  const unique = [...new Set(Object.values(dirs))]
  if (version === 1) return { into: null, files: unique.map((dir) => `${dir}/tasks`) }
  return { into: unique[0] ?? null, files: unique.map((dir) => `${dir}/cgroup.procs`) }
}

/** A manager for a cgroup made before, perhaps by another process. */
export function openCgroup(handle: CgroupHandle, io: CgroupIo = hostIo): CgroupManager {
  return {
    version: handle.version,
    handle,
    join: joinOf(handle),
    stats: () => readStats(handle, io),
    finalUsage: () => readFinalUsage(handle, io),
    oomKills: () => readOomKills(handle, io),
    memoryLimit: () => readMemoryLimit(handle, io),
    freeze: () => freeze(handle, io),
    thaw: () => thaw(handle, io),
    isFrozen: () => isFrozen(handle, io),
    pids: () => listPids(handle, io),
    kill: () => killAll(handle, io),
    remove() {
      for (const dir of new Set(Object.values(handle.dirs))) removeDirectory(dir, io)
      for (const dir of handle.parents) removeIfEmpty(dir, io)
    },
  }
}
