/** A bundle's spec → the facts of its plan, and its cgroup. */
import { isDirectory, readText, stat } from "../../../ffi/fs.ts"
import { type Cgroups, directoryOf, ownCgroup } from "../../cgroup/detect.ts"
import { cgroupPath } from "../../cgroup/path.ts"
import type { CgroupRequest } from "../../cgroup/plan.ts"
import { ToyboxError } from "../../errors.ts"
import type { Spec } from "../../oci/runtime.ts"
import type { Facts } from "../../plan/facts.ts"
import { hasOwn } from "../../plan/namespaces.ts"
import {
  cgroupView,
  inUserNamespace,
  isChrooted,
  isOrdinaryUser,
  keepsGroups,
  lastCapability,
  openNamespaces,
  unpivotableMounts,
} from "../facts.ts"
import type { PreparedMounts } from "./mounts.ts"

/** The cgroup that a spec asks for. Throws UsageError for a bad path. */
export function cgroupRequest(spec: Spec, id: string): CgroupRequest {
  const { cgroupsPath, resources } = spec.linux
  // An ordinary user could not set rules for devices, and needs none: it can open what the host lets it, and make no others.
  const { devices: _, ...others } = resources
  return {
    path: cgroupsPath ? cgroupPath("linux.cgroupsPath", cgroupsPath) : `/toybox-oci-${id}`,
    resources: isOrdinaryUser() ? others : resources,
    allControllers: true,
    devicesOptional: hasOwn(spec, "user"),
  }
}

const isSet = (value: unknown): boolean =>
  typeof value === "object" && value !== null ? Object.values(value).some(isSet) : value !== undefined

/** Whether a cgroup is to have any limit. */
export const asksForLimits = ({ resources }: CgroupRequest): boolean => isSet(resources)

/** Throws where the bundle's root is no directory. */
export function checkRoot(spec: Spec): void {
  if (!isDirectory(stat(spec.root.path))) {
    throw new ToyboxError(`config.json: root.path: ${spec.root.path} is not a directory`)
  }
}

/** Toybox's own directories, by controller: what a container without a cgroup of its own is in. */
export function ownCgroupDirs(cgroups: Cgroups): Record<string, string> {
  if (cgroups.mode === "none") return {}
  const own = ownCgroup()
  const hierarchies = cgroups.mode === "unified" ? { unified: cgroups.unified } : cgroups.controllers
  const paths: Readonly<Record<string, string | null>> =
    cgroups.mode === "unified" ? { unified: own.unified } : own.controllers
  const dirs = Object.entries(hierarchies).flatMap(([name, hierarchy]) => {
    const path = paths[name]
    const dir = path ? directoryOf(hierarchy, path) : null
    return dir === null ? [] : [[name, dir]]
  })
  return Object.fromEntries(dirs)
}

/** What the parent holds open for the plan of a container. */
export interface Held {
  stdio: Facts["stdio"]
  reportFd: number
  memfd: number
  goFd: number
  startFd: number
  passedFds: readonly number[]
  rootFd: number
  cgroupFd: number | undefined
  cgroupFiles: readonly string[]
  /** Connected to the supervisor of a seccomp profile. */
  listenerFd: number | undefined
  mounts: PreparedMounts
  deviceSources: Facts["deviceSources"]
  /** The container's cgroups, or those that it shares with toybox: directory by controller. */
  cgroupDirs: Readonly<Record<string, string>>
}

/**
 * Without a cgroup namespace of its own the container would see the host's whole tree: it is given its own directories
 * instead, as by runc.
 */
function boundCgroups(cgroups: Cgroups, dirs: Readonly<Record<string, string>>): Facts["cgroupView"] {
  const view = cgroupView(cgroups, Object.keys(dirs), false)
  const mounts = view.mounts.map((mount) => {
    const [key = "", value = null] = mount.options[0] ?? []
    const path = mount.type === "cgroup2" ? dirs.unified : dirs[value === null ? key : `${key}=${value}`]
    return path === undefined ? mount : { ...mount, path }
  })
  return { ...view, mounts }
}

/** The facts of a plan. `scratch` is a directory of the container's own, on the host, that the child may mount over. */
export function gatherFacts(
  spec: Spec,
  scratch: string,
  cgroups: Cgroups,
  held: Held,
  options: { awaitHooks: boolean; noPivot: boolean; keepKeyring: boolean },
): Facts {
  const namespaceFds = openNamespaces(spec)
  const controllers = Object.keys(held.cgroupDirs)
  const isOwn = spec.linux.namespaces.some(({ type }) => type === "cgroup")
  const { sources, made, coveredModes } = held.mounts
  const stageOneFds = [
    held.rootFd,
    ...namespaceFds.values(),
    ...made.values(),
    ...(held.deviceSources?.fd === undefined ? [] : [held.deviceSources.fd]),
    ...(held.cgroupFd === undefined ? [] : [held.cgroupFd]),
  ]
  return {
    rootSteps: [],
    // Hooks expect the root where the bundle has it.
    rootMountPoint: spec.root.path,
    // Root in a user namespace may not reach a directory of ours. Over the old /proc nobody looks any more.
    scratchMountPoint: hasOwn(spec, "user") ? "/proc" : scratch,
    unpivotable: unpivotableMounts(readText("/proc/self/mountinfo")),
    chrooted: isChrooted(),
    cgroup: held.cgroupFd === undefined ? { join: held.cgroupFiles } : { join: [], fd: held.cgroupFd },
    cgroupView: isOwn ? cgroupView(cgroups, controllers, false) : boundCgroups(cgroups, held.cgroupDirs),
    sources,
    madeMounts: made,
    coveredModes,
    ...(held.deviceSources ? { deviceSources: held.deviceSources } : {}),
    ownFiles: new Set(),
    present: new Map([...spec.linux.maskedPaths, ...spec.linux.readonlyPaths].map((path) => [path, {}])),
    namespaceFds,
    lastCapability: lastCapability(),
    groupsMayStay: inUserNamespace(),
    keepsGroups: keepsGroups(spec),
    stdio: held.stdio,
    init: false,
    parentDeathSignal: false,
    reportFd: held.reportFd,
    memfd: held.memfd,
    goFd: held.goFd,
    ...(held.listenerFd === undefined ? {} : { listenerFd: held.listenerFd }),
    startFd: held.startFd,
    passedFds: held.passedFds,
    stageOneFds,
    rootFiles: spec.process.cwd === "/" ? [] : [{ kind: "mkdir-in-root", path: spec.process.cwd }],
    awaitHooks: options.awaitHooks,
    noPivot: options.noPivot,
    keepKeyring: options.keepKeyring,
  }
}
