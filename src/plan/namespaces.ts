/** spec.linux.namespaces → steps: which are made by the clone, which are joined, and by whom. */
import type { Namespace, NamespaceType, Spec } from "../oci/runtime.ts"
import { type Facts, JOIN_ORDER, MOMENT_MAPS, type OpeningFacts } from "./facts.ts"
import type { CloneHelper, Step } from "./steps.ts"

/** New and not joined: its settings are this container's to make. */
export const isNew = (spec: Spec, type: NamespaceType): boolean =>
  spec.linux.namespaces.some((ns) => ns.type === type && ns.path === undefined)

/** New or joined: not the host's. */
export const hasOwn = (spec: Spec, type: NamespaceType): boolean => spec.linux.namespaces.some((ns) => ns.type === type)

function joins(spec: Spec, facts: OpeningFacts, types: readonly NamespaceType[]): CloneHelper["joins"] {
  return types.flatMap((type) => {
    const path = spec.linux.namespaces.find((ns: Namespace) => ns.type === type)?.path
    return path === undefined ? [] : [{ namespace: type, path, fd: facts.namespaceFds.get(path) ?? -1 }]
  })
}

/** Those that must be joined before the clone, by a helper. */
function joinedByHelper(spec: Spec): readonly NamespaceType[] {
  // What is the host's can be joined only by somebody who is not in a new user namespace yet.
  if (isNew(spec, "user")) return ["pid", ...JOIN_ORDER]
  // What is made must belong to the user namespace that is joined.
  return ["user", "pid"]
}

const CLOCKS = ["monotonic", "boottime"]

/** Lines of /proc/PID/timens_offsets: time_namespaces(7). Once a process is in the namespace they are fixed. */
function offsetLines(spec: Spec): string | undefined {
  const { timeOffsets } = spec.linux
  if (!isNew(spec, "time") || !timeOffsets) return undefined
  const lines = CLOCKS.flatMap((clock) => {
    const offset = timeOffsets[clock]
    return offset ? [`${clock} ${offset.secs ?? 0} ${offset.nanosecs ?? 0}\n`] : []
  })
  return lines.length > 0 ? lines.join("") : undefined
}

/** Those that a process cannot enter by itself: only its children would be in them, or nothing else could be made first. */
const BY_CLONE: readonly NamespaceType[] = ["pid", "user", "time"]

/** The clone, with the new namespaces that nobody else can make. */
export function cloneStep(spec: Spec, facts: OpeningFacts): Step {
  const timeOffsets = offsetLines(spec)
  const early = joins(spec, facts, joinedByHelper(spec))
  const namespaces = spec.linux.namespaces
    .filter(({ type, path }) => path === undefined && BY_CLONE.includes(type) && !(type === "time" && timeOffsets))
    .map(({ type }) => type)
  return {
    kind: "clone",
    namespaces,
    ...(facts.cgroup.fd === undefined ? {} : { cgroupFd: facts.cgroup.fd }),
    ...(early.length > 0 || timeOffsets ? { helper: { joins: early, ...(timeOffsets ? { timeOffsets } : {}) } } : {}),
  }
}

const LATE: readonly NamespaceType[] = ["cgroup"]

/**
 * The others cost the kernel most, and are made by the child while the parent goes on; that of the cgroups only from inside
 * the cgroup.
 */
export function unshareSteps(spec: Spec): Step[] {
  const late: readonly NamespaceType[] = hasOwn(spec, "user") ? [...LATE, "ipc"] : LATE
  const types = spec.linux.namespaces
    .filter(({ type, path }) => path === undefined && !late.includes(type) && !BY_CLONE.includes(type))
    .map(({ type }) => type)
  return types.length === 0 ? [] : [{ kind: "unshare", namespaces: types }]
}

/** What the child itself joins: setns(2). */
export function joinSteps(spec: Spec, facts: Facts): Step[] {
  const early = joinedByHelper(spec)
  const late = JOIN_ORDER.filter((type) => !early.includes(type))
  return joins(spec, facts, late).map((join): Step => ({ kind: "setns", ...join }))
}

/** In a user namespace: waits for what the parent has to do outside. */
export const awaitMaps = (spec: Spec, facts: Facts): Step[] =>
  hasOwn(spec, "user") ? [{ kind: "sync", moment: MOMENT_MAPS, reportFd: facts.reportFd, fd: facts.goFd }] : []

/** Becomes the root of its user namespace. */
export function becomeRootSteps(spec: Spec): Step[] {
  if (!hasOwn(spec, "user")) return []
  return [
    { kind: "become-root" },
    // Its mqueue file system belongs to whom makes it.
    ...(isNew(spec, "ipc") ? [{ kind: "unshare", namespaces: ["ipc"] } satisfies Step] : []),
  ]
}
