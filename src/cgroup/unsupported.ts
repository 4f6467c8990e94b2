import { ToyboxError } from "../errors.ts"
import type { LinuxResources } from "../oci/resources.ts"
import { type CgroupRequest, isAsked, labelOf } from "./plan.ts"

interface Lack {
  readonly field: string
  readonly present: (resources: LinuxResources) => boolean
  readonly why: string
}

const DEPRECATED: readonly Lack[] = [
  { field: "memory.kernel", present: (r) => isLimit(r.memory?.kernel), why: "kernels since 5.16 have no such limit" },
  { field: "memory.kernelTCP", present: (r) => isLimit(r.memory?.kernelTCP), why: "it is deprecated" },
]

const isLimit = (value: number | undefined) => value !== undefined && value > 0

const LACKS: Readonly<Record<1 | 2, readonly Lack[]>> = {
  1: [
    {
      field: "unified",
      present: (r) => Object.keys(r.unified ?? {}).length > 0,
      why: "this machine has cgroup v1, and the files named are of v2",
    },
  ],
  2: [
    { field: "memory.swappiness", present: (r) => r.memory?.swappiness !== undefined, why: "cgroup v2 has none" },
    { field: "memory.disableOOMKiller", present: (r) => !!r.memory?.disableOOMKiller, why: "cgroup v2 cannot do that" },
    { field: "cpu.realtimeRuntime", present: (r) => !!r.cpu?.realtimeRuntime, why: "cgroup v2 cannot do that" },
    { field: "cpu.realtimePeriod", present: (r) => !!r.cpu?.realtimePeriod, why: "cgroup v2 cannot do that" },
    { field: "network.classID", present: (r) => !!r.network?.classID, why: "cgroup v2 has no net_cls controller" },
    {
      field: "network.priorities",
      present: (r) => (r.network?.priorities?.length ?? 0) > 0,
      why: "cgroup v2 has no net_prio controller",
    },
    { field: "blockIO.leafWeight", present: (r) => !!r.blockIO?.leafWeight, why: "cgroup v2 has no leaf weights" },
    {
      field: "blockIO.weightDevice",
      present: (r) => r.blockIO?.weightDevice?.some(({ leafWeight }) => leafWeight) ?? false,
      why: "cgroup v2 has no leaf weights",
    },
  ],
}

/**
 * Throws ToyboxError where the resources ask for what this version of cgroups cannot do: nothing is dropped silently.
 * Returns notices on the deprecated fields, which the specification wants ignored.
 */
export function checkSupport(request: CgroupRequest, version: 1 | 2): string[] {
  for (const { field, present, why } of LACKS[version]) {
    if (present(request.resources) && isAsked(request, field)) {
      throw new ToyboxError(`${labelOf(request, field)}: not possible here: ${why}`)
    }
  }
  return DEPRECATED.filter(({ present }) => present(request.resources)).map(
    ({ field, why }) => `${labelOf(request, field)} is ignored: ${why}`,
  )
}
