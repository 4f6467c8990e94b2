import { ToyboxError } from "../../errors.ts"
import { allowsEverything } from "../devices/bpf.ts"
import { ownParents } from "../path.ts"
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
import type { V2Facts, V2Level } from "./facts.ts"
import { v2Writes } from "./writes.ts"

/** What statistics and OOM recognition read, and what `update` should find; the others cost time in every process. */
const ALWAYS: readonly string[] = ["cpu", "memory", "pids"]
// Files of every cgroup, whatever is enabled: cgroup.*, and the pressure files, which are no limits.
const CORE = "cgroup"

function lacks({ mountpoint, available }: V2Facts, label: string, controller: string): ToyboxError {
  const present = available.length > 0 ? available.join(" ") : "none"
  return new ToyboxError(`${label}: the ${controller} controller is not available (${mountpoint} has: ${present})`, {
    hint:
      controller === "memory"
        ? "some kernels need cgroup_enable=memory on their command line"
        : "the kernel lacks it, a cgroup v1 hierarchy holds it, or it was not delegated",
  })
}

/** The writes whose controllers exist; one that somebody asked for and that cannot be is an error. */
function possibleWrites(request: CgroupRequest, facts: V2Facts): FileWrite[] {
  return v2Writes(request.resources).filter(({ file, field }) => {
    const controller = controllerOf(file)
    if (controller === CORE || facts.available.includes(controller)) return true
    if (isAsked(request, field)) throw lacks(facts, labelOf(request, field), controller)
    return false
  })
}

/** Makes the controllers usable below one level: no internal processes, then cgroup.subtree_control. */
function enableSteps(level: V2Level, needed: readonly string[], request: CgroupRequest): CgroupStep[] {
  const missing = needed.filter((controller) => !level.enabled.includes(controller))
  if (missing.length === 0) return []
  const write: CgroupStep = {
    kind: "write",
    dir: level.dir,
    file: "cgroup.subtree_control",
    value: missing.map((controller) => `+${controller}`).join(" "),
    field: "cgroup",
    label: "cgroup",
    asked: true,
  }
  if (!level.hasProcesses) return [write]
  if (!level.isTop) {
    throw new ToyboxError(`cgroup ${level.dir} has processes of its own, so no limits can be set below it`, {
      hint: `choose another --cgroup-parent than a part of ${request.path} (cgroup v2: no internal processes)`,
    })
  }
  // The root of a delegated tree, as inside of another container: its processes, toybox among them, go into a leaf.
  const leaf = `${level.dir}/init`
  return [{ kind: "mkdir", dir: leaf, shared: true }, { kind: "evacuate", from: level.dir, to: leaf }, write]
}

function deviceSteps(request: CgroupRequest, dir: string): CgroupStep[] {
  const rules = request.resources.devices ?? []
  if (rules.length === 0 || allowsEverything(rules)) return []
  return [{ kind: "devices", dir, rules, required: !request.devicesOptional }]
}

/** The directories, controllers and writes for a container's cgroup v2. Pure. Throws ToyboxError. */
export function planV2(request: CgroupRequest, facts: V2Facts): CgroupPlan {
  const notices = checkSupport(request, 2)
  const writes = possibleWrites(request, facts)
  const always = request.countsIo ? [...ALWAYS, "io"] : ALWAYS
  const wanted = request.allControllers ? facts.available : always.filter((name) => facts.available.includes(name))
  const used = writes.map(({ file }) => controllerOf(file)).filter((controller) => controller !== CORE)
  const needed = [...new Set([...wanted, ...used])]
  const dir = facts.mountpoint + request.path
  const steps: CgroupStep[] = facts.levels.flatMap((level) => [
    ...(level.isTop ? [] : [{ kind: "mkdir", dir: level.dir, shared: true } as const]),
    ...enableSteps(level, needed, request),
  ])
  steps.push({ kind: "mkdir", dir, shared: false })
  for (const write of writes) {
    steps.push({
      kind: "write",
      dir,
      asked: isAsked(request, write.field),
      label: labelOf(request, write.field),
      ...write,
    })
  }
  steps.push(...deviceSteps(request, dir))
  return {
    handle: {
      version: 2,
      path: request.path,
      dirs: { unified: dir },
      parents: ownParents(facts.mountpoint, request.path),
    },
    steps,
    join: { into: dir, files: [`${dir}/cgroup.procs`] },
    notices,
  }
}
