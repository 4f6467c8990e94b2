import { ToyboxError } from "../../errors.ts"
import type { Hierarchy } from "../detect.ts"
import { ancestors, ownParents } from "../path.ts"
import {
  type CgroupPlan,
  type CgroupRequest,
  type CgroupStep,
  controllerOf,
  type FileWrite,
  isAsked,
  labelOf,
} from "../plan.ts"
import { checkSupport } from "../unsupported.ts"
import { type CpusetLevel, fillFromTop } from "./cpuset.ts"
import type { CurrentMemory } from "./memory.ts"
import { v1Writes } from "./writes.ts"

/** What planning for cgroup v1 has to know of the machine. */
export interface V1Facts {
  readonly controllers: Readonly<Record<string, Hierarchy>>
  /** From the top of the cpuset hierarchy down to the container's parent; null where no cpuset is wanted. */
  readonly cpuset: readonly CpusetLevel[] | null
  /** For an update: the present limit, which decides the order of writes. */
  readonly memory: CurrentMemory | null
}

/**
 * The controllers a container always gets a directory of: limits that have defaults, statistics (cpuacct), the kill loop and
 * pause (freezer). Each costs 0.1 ms per run, so cpuset, blkio and the rest are joined only when used.
 */
const ALWAYS: readonly string[] = ["memory", "pids", "cpu", "cpuacct", "devices", "freezer"]

function lacks({ controllers }: V1Facts, label: string, controller: string): ToyboxError {
  const present = Object.keys(controllers).join(" ") || "none"
  return new ToyboxError(`${label}: the ${controller} controller is not mounted (cgroup v1; mounted are: ${present})`, {
    hint: `if the kernel has it (/proc/cgroups): mount -t cgroup -o ${controller} cgroup /sys/fs/cgroup/${controller}`,
  })
}

/** Whether the resources want the cpuset controller, or all of them. */
export function wantsCpuset({ resources, allControllers }: CgroupRequest): boolean {
  return Boolean(allControllers || resources.cpu?.cpus || resources.cpu?.mems)
}

function possibleWrites(request: CgroupRequest, facts: V1Facts): FileWrite[] {
  return v1Writes(request.resources, facts.memory).filter(({ file, field }) => {
    const controller = controllerOf(file)
    if (facts.controllers[controller]) return true
    if (field === "devices" && request.devicesOptional) return false
    if (isAsked(request, field)) throw lacks(facts, labelOf(request, field), controller)
    return false
  })
}

function cpusetWrites(request: CgroupRequest, { cpuset }: V1Facts): { fills: CpusetLevel[]; writes: FileWrite[] } {
  if (!cpuset) return { fills: [], writes: [] }
  const { fills, cpus, mems } = fillFromTop(cpuset)
  const { cpu = {} } = request.resources
  return {
    fills: [...fills],
    writes: [
      { file: "cpuset.cpus", value: cpu.cpus || cpus, field: "cpu.cpus" },
      { file: "cpuset.mems", value: cpu.mems || mems, field: "cpu.mems" },
    ],
  }
}

/** The directories and writes for a container's cgroup v1 hierarchies. Pure. Throws ToyboxError. */
export function planV1(request: CgroupRequest, facts: V1Facts): CgroupPlan {
  const notices = checkSupport(request, 1)
  if (wantsCpuset(request) && !facts.controllers.cpuset && !request.allControllers) {
    throw lacks(facts, labelOf(request, request.resources.cpu?.cpus ? "cpu.cpus" : "cpu.mems"), "cpuset")
  }
  const { fills, writes: cpuset } = cpusetWrites(request, facts)
  const writes = [...cpuset, ...possibleWrites(request, facts)]
  const counted = request.countsIo ? ["blkio"] : []
  const used = new Set([...ALWAYS, ...counted, ...writes.map(({ file }) => controllerOf(file))])
  const names = Object.keys(facts.controllers).filter((name) => request.allControllers || used.has(name))
  const dirs: Record<string, string> = {}
  const steps: CgroupStep[] = []
  for (const name of names) {
    const mountpoint = facts.controllers[name]?.mountpoint ?? ""
    const dir = mountpoint + request.path
    // Co-mounted controllers share a directory.
    if (!Object.values(dirs).includes(dir)) steps.push(...mkdirSteps(mountpoint, request.path, fills))
    dirs[name] = dir
  }
  for (const write of writes) {
    const dir = dirs[controllerOf(write.file)] ?? ""
    steps.push(writeStep(request, dir, write))
  }
  const unique = [...new Set(Object.values(dirs))]
  const mountpoints = [...new Set(names.map((name) => facts.controllers[name]?.mountpoint ?? ""))]
  return {
    handle: {
      version: 1,
      path: request.path,
      dirs,
      parents: mountpoints.flatMap((mountpoint) => ownParents(mountpoint, request.path)),
    },
    steps,
    // Not cgroup.procs: see JoinTarget.
    join: { into: null, files: unique.map((dir) => `${dir}/tasks`) },
    notices,
  }
}

function mkdirSteps(mountpoint: string, path: string, fills: readonly CpusetLevel[]): CgroupStep[] {
  const steps: CgroupStep[] = []
  for (const ancestor of ancestors(path)) {
    const dir = mountpoint + ancestor
    steps.push({ kind: "mkdir", dir, shared: true })
    const fill = fills.find((level) => level.dir === dir)
    if (fill?.cpus) steps.push(fillStep(dir, "cpuset.cpus", fill.cpus))
    if (fill?.mems) steps.push(fillStep(dir, "cpuset.mems", fill.mems))
  }
  return [...steps, { kind: "mkdir", dir: mountpoint + path, shared: false }]
}

const fillStep = (dir: string, file: string, value: string): CgroupStep => ({
  kind: "write",
  dir,
  file,
  value,
  field: "cpu",
  label: "cgroup",
  asked: true,
})

function writeStep(request: CgroupRequest, dir: string, write: FileWrite): CgroupStep {
  return { kind: "write", dir, asked: isAsked(request, write.field), label: labelOf(request, write.field), ...write }
}
