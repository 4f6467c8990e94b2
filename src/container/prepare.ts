/** A request → spec, facts and plan. Reads the machine and the root; changes nothing. */

import { callResult } from "../../ffi/call.ts"
import { W_OK } from "../../ffi/constants/fcntl.ts"
import { close, lstat, readText } from "../../ffi/fs.ts"
import type { PreparedCgroup } from "../cgroup/manager.ts"
import { containerCgroup } from "../cgroup/path.ts"
import { UsageError } from "../errors.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import { overlayLayout } from "../overlay/layout.ts"
import type { Facts, OpeningFacts } from "../plan/facts.ts"
import type { Step } from "../plan/steps.ts"
import { applyIdentity, generate } from "../spec/generate.ts"
import {
  bindSources,
  cgroupView,
  isChrooted,
  lastCapability,
  openNamespaces,
  ownCapabilities,
  presentPaths,
  thermalPaths,
  unpivotableMounts,
} from "./facts.ts"
import { fileMounts, timeZoneMount } from "./files.ts"
import { resolveIdentity } from "./identity.ts"
import { is32Bit } from "./machine.ts"
import type { ContainerRequest } from "./request.ts"

const isPrivate = (request: ContainerRequest, type: "uts" | "network") =>
  (request.process.namespaces[type]?.mode ?? "private") === "private"

/** The host name that the container has, or shares. */
export function effectiveHostname(request: ContainerRequest, id: string): string {
  if (request.process.hostname !== undefined) return request.process.hostname
  const { uts, network } = request.process.namespaces
  // Without one of its own it has the name that goes with the network: /etc/hosts knows it.
  const shared = uts && uts.mode !== "private" ? uts : network
  if (shared?.mode === "container") return shared.hostname ?? hostHostname()
  return shared?.mode === "host" ? hostHostname() : id.slice(0, 12)
}

/** Where /etc/hosts and its like are: who shares another container's network shares its files, too. */
function filesDirectory({ process }: ContainerRequest, directory: string): string {
  const { network } = process.namespaces
  return network?.mode === "container" ? (network.files ?? directory) : directory
}

/** The mounts of the container's own files; that of its time zone is its own in any network. */
const ownMounts = (request: ContainerRequest, directory: string): Mount[] => [
  ...fileMounts(filesDirectory(request, directory), request.names?.noHosts),
  ...(request.process.timeZone === undefined ? [] : [timeZoneMount(directory)]),
]

const isWritable = (path: string) => callResult("access", path, W_OK) === 0

/** Whether one has a place in what is mounted above it: where it is not there, it is made. */
function hasPlace(own: Mount, mounts: readonly Mount[]): boolean {
  const above = mounts.find(({ destination }) => own.destination.startsWith(`${destination}/`))
  if (above === undefined) return true
  const { source, type, options } = above
  const isThere = type === "bind" && lstat(source + own.destination.slice(above.destination.length)) !== null
  const isReadOnly = options.includes("ro") || options.includes("rro")
  return isThere || (!isReadOnly && (type !== "bind" || isWritable(source)))
}

const hostHostname = () => readText("/proc/sys/kernel/hostname").trim()

/** The spec of a container, but for the identity. */
export function makeSpec(request: ContainerRequest, id: string, directory: string): Spec {
  const { process } = request
  const hostname = isPrivate(request, "uts") ? { hostname: effectiveHostname(request, id) } : {}
  const spec = generate(
    { ...process, ...hostname },
    {
      rootPath: overlayLayout(directory).merged,
      cgroupsPath: containerCgroup(request.cgroupParent, id, request.cgroups.mode === "unified" ? 2 : 1),
      files: ownMounts(request, directory).filter((own) => hasPlace(own, process.mounts)),
    },
  )
  if (!process.privileged) spec.linux.maskedPaths.push(...thermalPaths())
  return spec
}

/** Completes a spec with the identity that the root behind `rootFd` gives. Returns whether the command is of 32 bits. */
export function identify(request: ContainerRequest, id: string, spec: Spec, rootFd: number): { compat: boolean } {
  const identity = resolveIdentity(rootFd, { ...request.process, hostname: effectiveHostname(request, id) })
  const compat = request.process.seccomp === "default" && is32Bit(rootFd, request.process.args, identity.env)
  // The defaults, too, are given only as far as toybox has them.
  const own = ownCapabilities()
  const lacking = request.process.capAdd.find((name) => name !== "ALL" && !own.includes(name))
  if (lacking !== undefined)
    throw new UsageError(`--cap-add: toybox itself does not have ${lacking}, and cannot give it`)
  applyIdentity(spec, request.process, { ...identity, compat }, own)
  return { compat }
}

/** What the parent holds open for a container's process. */
export interface Held {
  stdio: Facts["stdio"]
  reportFd: number
  traceFd: number | undefined
  memfd: number
  goFd: number
  cgroupFd: number | undefined
  rootSteps: readonly Step[]
  /** It is to be connected to networks. */
  awaitsNetwork: boolean
  /** Instead of the steps. */
  mountedRoot: number | undefined
  /** Connected to the supervisor of a seccomp profile. */
  listenerFd: number | undefined
  /** The caller's, that the command gets as they are. */
  passedFds: readonly number[]
  /** See Facts.madeMounts. */
  madeMounts: ReadonlyMap<Mount, number> | undefined
}

/** The facts that the clone needs. Opens the namespaces that are joined. */
export function openingFacts(spec: Spec, held: Held): OpeningFacts {
  const namespaceFds = openNamespaces(spec)
  const made = held.madeMounts?.values() ?? []
  const stageOneFds = [...namespaceFds.values(), ...made, held.cgroupFd, held.mountedRoot].filter(
    (fd) => fd !== undefined,
  )
  return {
    rootSteps: held.rootSteps,
    awaitsNetwork: held.awaitsNetwork,
    cgroup: held.cgroupFd === undefined ? {} : { fd: held.cgroupFd },
    namespaceFds,
    stdio: held.stdio,
    parentDeathSignal: true,
    reportFd: held.reportFd,
    ...(held.traceFd === undefined ? {} : { traceFd: held.traceFd }),
    ...(held.listenerFd === undefined ? {} : { listenerFd: held.listenerFd }),
    ...(held.madeMounts === undefined ? {} : { madeMounts: held.madeMounts }),
    memfd: held.memfd,
    passedFds: held.passedFds,
    goFd: held.goFd,
    recordedFd: held.goFd,
    stageOneFds,
  }
}

/** The facts of a whole plan. The cgroup is the container's. */
export function gatherFacts(
  request: ContainerRequest,
  spec: Spec,
  directory: string,
  opening: OpeningFacts,
  cgroup: Pick<PreparedCgroup, "join" | "handle">,
): Facts {
  const layout = overlayLayout(directory)
  const cgroupShared = request.process.namespaces.cgroup?.mode === "host"
  const runIsOurs = spec.mounts.some(({ destination, type }) => destination === "/run" && type === "tmpfs")
  const rootFiles: Step[] = [
    ...(spec.process.cwd === "/" ? [] : [{ kind: "mkdir-in-root", path: spec.process.cwd } satisfies Step]),
    // What programs look for to learn that they are in a container.
    ...(runIsOurs ? [{ kind: "touch", path: "/run/.containerenv" } satisfies Step] : []),
  ]
  return {
    ...opening,
    rootMountPoint: layout.merged,
    scratchMountPoint: layout.work,
    unpivotable: unpivotableMounts(request.mountinfo),
    chrooted: isChrooted(),
    cgroup: { ...opening.cgroup, join: opening.cgroup.fd === undefined ? cgroup.join.files : [] },
    cgroupView: cgroupView(request.cgroups, Object.keys(cgroup.handle.dirs), cgroupShared),
    sources: bindSources(spec),
    ownFiles: new Set(ownMounts(request, directory).map(({ source }) => source)),
    present: presentPaths([...spec.linux.maskedPaths, ...spec.linux.readonlyPaths]),
    lastCapability: lastCapability(),
    init: request.init,
    rootFiles,
  }
}

/** Closes the namespace files of some facts. */
export function releaseFacts(facts: OpeningFacts): void {
  for (const fd of facts.namespaceFds.values()) close(fd)
}
