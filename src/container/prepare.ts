/** A request → spec, facts and plan. Reads the machine and the root; changes nothing. */
import { CAPABILITY_NAMES } from "../../ffi/constants/capability.ts"
import { containerCgroup } from "../cgroup/path.ts"
import { close, readText } from "../../ffi/fs.ts"
import type { CgroupManager } from "../cgroup/manager.ts"
import { overlayLayout } from "../overlay/layout.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import type { Facts } from "../plan/facts.ts"
import type { Step } from "../plan/steps.ts"
import { generate } from "../spec/generate.ts"
import { bindSources, cgroupView, lastCapability, openNamespaces, presentPaths, thermalPaths } from "./facts.ts"
import { fileMounts } from "./files.ts"
import { execCandidates, resolveIdentity } from "./identity.ts"
import type { ContainerRequest } from "./request.ts"

const isPrivate = (request: ContainerRequest, type: "uts" | "network") =>
  (request.process.namespaces[type]?.mode ?? "private") === "private"

/** The host name that the container has, or shares. */
export function effectiveHostname(request: ContainerRequest, id: string): string {
  if (request.process.hostname !== undefined) return request.process.hostname
  return isPrivate(request, "uts") ? id.slice(0, 12) : hostHostname()
}

const hostHostname = () => readText("/proc/sys/kernel/hostname").trim()

/** The spec of a container whose root `rootFd` holds. */
export function makeSpec(request: ContainerRequest, id: string, directory: string, rootFd: number): Spec {
  const hostname = effectiveHostname(request, id)
  const { process } = request
  const identity = resolveIdentity(rootFd, {
    user: process.user,
    groupAdd: process.groupAdd,
    env: process.env,
    terminal: process.terminal,
    hostname,
  })
  const files: Mount[] = fileMounts(directory)
  const spec = generate({ ...process, ...(isPrivate(request, "uts") ? { hostname } : {}) }, identity, {
    rootPath: overlayLayout(directory).merged,
    cgroupsPath: containerCgroup(request.cgroupParent, id, request.cgroups.mode === "unified" ? 2 : 1),
    files,
    allCapabilities: CAPABILITY_NAMES.slice(0, lastCapability() + 1),
  })
  if (!process.privileged) spec.linux.maskedPaths.push(...thermalPaths())
  return spec
}

/** What the parent holds open for the plan. */
export interface Held {
  stdio: Facts["stdio"]
  reportFd: number
  traceFd: number | undefined
  memfd: number
  root: Step[]
  join: CgroupManager["join"]
  /** Those in which the container has a cgroup. */
  controllers: readonly string[]
  cgroupFd: number | undefined
  rootFd: number
}

/** The facts of a plan. */
export function gatherFacts(request: ContainerRequest, spec: Spec, directory: string, held: Held, unpivotable: string[] | null): Facts {
  const namespaceFds = openNamespaces(spec)
  const layout = overlayLayout(directory)
  const cgroupShared = request.process.namespaces.cgroup?.mode === "host"
  const runIsOurs = spec.mounts.some(({ destination, type }) => destination === "/run" && type === "tmpfs")
  const rootFiles: Step[] = [
    ...(spec.process.cwd === "/" ? [] : [{ kind: "mkdir-in-root", path: spec.process.cwd } satisfies Step]),
    // What programs look for to learn that they are in a container.
    ...(runIsOurs ? [{ kind: "touch", path: "/run/.containerenv" } satisfies Step] : []),
  ]
  const stageOneFds = [held.rootFd, ...namespaceFds.values(), ...(held.cgroupFd === undefined ? [] : [held.cgroupFd])]
  return {
    root: held.root,
    rootMountPoint: layout.merged,
    scratchMountPoint: layout.work,
    unpivotable,
    cgroup: held.cgroupFd === undefined ? { join: held.join.files } : { join: [], fd: held.cgroupFd },
    cgroupView: cgroupView(request.cgroups, held.controllers, cgroupShared),
    sources: bindSources(spec),
    ownFiles: new Set(fileMounts(directory).map(({ source }) => source)),
    present: presentPaths([...spec.linux.maskedPaths, ...spec.linux.readonlyPaths]),
    namespaceFds,
    lastCapability: lastCapability(),
    stdio: held.stdio,
    init: request.init,
    parentDeathSignal: true,
    reportFd: held.reportFd,
    ...(held.traceFd === undefined ? {} : { traceFd: held.traceFd }),
    memfd: held.memfd,
    stageOneFds,
    rootFiles,
    execCandidates: execCandidates(spec.process.args[0] ?? "", spec.process.env),
  }
}

/** Closes the namespace files of some facts. */
export function releaseFacts(facts: Facts): void {
  for (const fd of facts.namespaceFds.values()) close(fd)
}
