import { isErrno } from "../../ffi/errno.ts"
import { ToyboxError } from "../errors.ts"
import type { LinuxResources } from "../oci/resources.ts"
import type { Cgroups } from "./detect.ts"
import { executePlan } from "./execute.ts"
import { type CgroupIo, hostIo } from "./io.ts"
import { type CgroupHandle, type CgroupPlan, type CgroupRequest, type CgroupStep, labelOf } from "./plan.ts"
import { readStats } from "./stats.ts"
import { rememberValues, type Undo } from "./undo.ts"
import { readCpusetLevels } from "./v1/cpuset.ts"
import { planV1, wantsCpuset } from "./v1/plan.ts"
import { readV2Facts } from "./v2/facts.ts"
import { planV2 } from "./v2/plan.ts"

function planFor(cgroups: Cgroups, handle: CgroupHandle, request: CgroupRequest, io: CgroupIo): CgroupPlan {
  if (cgroups.mode === "unified") return planV2(request, readV2Facts(cgroups.unified, handle.path, io))
  if (cgroups.mode === "none") throw new ToyboxError("no cgroup hierarchy is mounted at /sys/fs/cgroup")
  const { controllers } = cgroups
  const cpuset = wantsCpuset(request) ? controllers.cpuset : undefined
  const levels = cpuset ? readCpusetLevels(cpuset.mountpoint, handle.path, io) : null
  const memsw = io.tryReadText(`${handle.dirs.memory ?? ""}/memory.memsw.limit_in_bytes`)
  return planV1(request, { controllers, cpuset: levels, memory: memsw === null ? null : { memsw: Number(memsw) } })
}

/** Moves the container's processes into a hierarchy it had no directory in, until no new one is found outside. */
function follow(from: string, to: string, io: CgroupIo): void {
  const pids = (dir: string) => io.readText(`${dir}/cgroup.procs`).split("\n").filter(Boolean)
  for (let round = 0; round < 100; round++) {
    const there = new Set(pids(to))
    const outside = pids(from).filter((pid) => !there.has(pid))
    if (outside.length === 0) return
    for (const pid of outside) {
      try {
        io.writeText(`${to}/cgroup.procs`, pid)
      } catch (error) {
        if (!isErrno(error, "ESRCH")) throw error // Ended meanwhile.
      }
    }
  }
  throw new ToyboxError(`cgroup ${to}: new processes appear faster than they can be moved into it`)
}

function checkUsage(handle: CgroupHandle, request: CgroupRequest, io: CgroupIo): void {
  const { limit, checkBeforeUpdate } = request.resources.memory ?? {}
  if (!checkBeforeUpdate || limit === undefined || limit < 0) return
  const used = readStats(handle, io).memoryCurrentBytes ?? 0
  if (used > limit)
    throw new ToyboxError(`${labelOf(request, "memory.limit")}: ${limit} is below the ${used} bytes in use`)
}

/** Left out: making what is there, and the inherited half of a cpuset that has a value by now. */
function isChange(step: CgroupStep, { cpu }: LinuxResources, present: ReadonlySet<string>): boolean {
  if (step.kind === "mkdir") return step.shared || !present.has(step.dir)
  if (step.kind !== "write" || !present.has(step.dir)) return true
  return !(step.file === "cpuset.cpus" && !cpu?.cpus) && !(step.file === "cpuset.mems" && !cpu?.mems)
}

/**
 * Changes the limits of a container with processes in it; what `request.resources` leaves out stays. On v1 the memory files
 * are written in the order the change needs, and hierarchies that are only now of use are joined; before that `announce` is
 * told, as at the making. Device rules cannot be changed on v2. Throws ToyboxError; then all is as it was. So it is by `undo`.
 */
export function updateCgroup(
  cgroups: Cgroups,
  handle: CgroupHandle,
  request: Omit<CgroupRequest, "path">,
  io: CgroupIo = hostIo,
  announce: (handle: CgroupHandle) => void = () => {},
): { readonly handle: CgroupHandle; readonly notices: readonly string[]; readonly undo: Undo } {
  const full: CgroupRequest = { ...request, path: handle.path }
  if (handle.version === 2 && request.resources.devices?.length) {
    throw new ToyboxError(`${labelOf(full, "devices")}: cannot be changed in a running container on cgroup v2`)
  }
  checkUsage(handle, full, io)
  const plan = planFor(cgroups, handle, full, io)
  const present = new Set(Object.values(handle.dirs))
  const fresh = [...new Set(Object.values(plan.handle.dirs))].filter((dir) => !present.has(dir))
  // Nothing is in them yet; but what exec is to join has to be there.
  if (fresh.length > 0) announce({ ...handle, parents: [...new Set([...fresh, ...handle.parents])] })
  const changes = plan.steps.filter((step) => isChange(step, request.resources, present))
  // A toybox that was killed may have made them.
  const steps = changes.map((step) => (step.kind === "mkdir" ? { ...step, shared: true } : step))
  const undo = rememberValues(steps, io)
  try {
    const { notices, createdParents } = executePlan({ ...plan, steps }, io)
    const from = handle.dirs.pids ?? Object.values(handle.dirs)[0]
    if (from !== undefined) for (const dir of fresh) follow(from, dir, io)
    const dirs = { ...handle.dirs, ...plan.handle.dirs }
    const parents = [...new Set([...createdParents.toReversed(), ...handle.parents, ...plan.handle.parents])]
    return { handle: { ...handle, dirs, parents }, notices, undo }
  } catch (error) {
    throw undo(error)
  }
}
