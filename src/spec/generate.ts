/** A run request → an OCI runtime spec. */
import type { LinuxDeviceCgroup } from "../oci/resources.ts"
import type { Capabilities, Device, Mount, Namespace, NamespaceType, Spec, User } from "../oci/runtime.ts"
import type { LinuxSeccomp } from "../oci/seccomp.ts"
import { defaultSeccomp } from "../security/seccomp/default-profile.ts"
import { MACHINE } from "../security/seccomp/filter.ts"
import { resolveProfile } from "../security/seccomp/resolve.ts"
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_DEVICE_RULES,
  DEFAULT_DEVICES,
  defaultMounts,
  MASKED_PATHS,
  NETWORK_SYSCTLS,
  READONLY_PATHS,
} from "./defaults.ts"
import type { NamespaceMode, RunRequest, SeccompRequest } from "./request.ts"

/** What only the container's own files can tell: see identity.ts. */
export interface Identity {
  user: User
  env: readonly string[]
  /** The command is a program of 32 bits. */
  compat?: boolean
}

export interface Place {
  rootPath: string
  cgroupsPath: string
  /** hosts, hostname and resolv.conf, as bind mounts. */
  files: readonly Mount[]
}

const NAMESPACE_FILES: Record<NamespaceType, string> = {
  pid: "pid",
  network: "net",
  mount: "mnt",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
}

/** Those made when nothing is asked for; the time namespace is made on request only. */
const DEFAULT_NAMESPACES: readonly NamespaceType[] = ["mount", "uts", "ipc", "pid", "network", "cgroup"]

function namespaces(modes: Readonly<Partial<Record<NamespaceType, NamespaceMode>>>): Namespace[] {
  const types = new Set<NamespaceType>([...DEFAULT_NAMESPACES, ...(Object.keys(modes) as NamespaceType[])])
  return [...types].flatMap((type): Namespace[] => {
    const mode = modes[type] ?? { mode: "private" }
    if (mode.mode === "host") return []
    if (mode.mode === "path") return [{ type, path: mode.path }]
    if (mode.mode === "container") return [{ type, path: `/proc/${mode.pid}/ns/${NAMESPACE_FILES[type]}` }]
    return [{ type }]
  })
}

/**
 * The five sets. "ALL" and the defaults are what toybox itself has of them (`own`). Inheritable and ambient stay empty, but
 * for what was asked for by name for a user other than root.
 */
export function capabilitySets(request: RunRequest, uid: number, own: readonly string[]): Capabilities {
  const all = request.privileged || request.capAdd.includes("ALL")
  const base = all
    ? own
    : request.capDrop.includes("ALL")
      ? []
      : DEFAULT_CAPABILITIES.filter((name) => own.includes(name))
  const named = request.capAdd.filter((name) => name !== "ALL")
  const dropped = new Set(request.capDrop)
  const bounding = [...new Set([...base, ...named])].filter((name) => !dropped.has(name))
  if (uid === 0) return { bounding, effective: bounding, permitted: bounding, inheritable: [], ambient: [] }
  const asked = [...new Set(named)].filter((name) => !dropped.has(name))
  return { bounding, effective: asked, permitted: asked, inheritable: asked, ambient: asked }
}

function deviceRules(request: RunRequest): LinuxDeviceCgroup[] {
  if (request.privileged) return [{ allow: true, access: "rwm" }]
  const asked = request.devices.map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access }))
  return [...DEFAULT_DEVICE_RULES, ...asked, ...(request.deviceRules ?? [])]
}

/** A device of the user's takes the place of the one before with the same path. */
function allDevices(request: RunRequest): Device[] {
  const byPath = new Map<string, Device>()
  for (const [path, major, minor] of DEFAULT_DEVICES)
    byPath.set(path, { type: "c", path, major, minor, fileMode: 0o666 })
  for (const { path, type, major, minor, mode, uid, gid } of request.devices) {
    byPath.set(path, { type, path, major, minor, fileMode: mode, uid, gid })
  }
  return [...byPath.values()]
}

const isBelow = ({ destination }: Mount, mount: Mount) => destination.startsWith(`${mount.destination}/`)
const isAt = ({ destination }: Mount, mount: Mount) => destination === mount.destination

/**
 * A mount of the user's takes the place of the default ones with the same destination and below it. The container's own
 * files lie on it, as with docker, where there is none of the user's at their very place.
 */
function allMounts(request: RunRequest, files: readonly Mount[]): Mount[] {
  const hostIpc = request.namespaces.ipc?.mode === "host"
  const isFree = (mount: Mount) => !request.mounts.some((asked) => isAt(mount, asked) || isBelow(mount, asked))
  const defaults = defaultMounts(request.shmSize, !request.privileged, hostIpc)
  const covered = files.filter((file) => !isFree(file) && !request.mounts.some((asked) => isAt(file, asked)))
  const depth = (mount: Mount) => mount.destination.split("/").length
  return [
    ...[...defaults, ...files].filter(isFree),
    ...[...request.mounts, ...covered].toSorted((a, b) => depth(a) - depth(b)),
  ]
}

const SHARED = ["shared", "rshared"]
const SLAVE = ["slave", "rslave"]

/** Mounts are tied to the host's as soon as one is asked for that is to be, as by docker. */
function propagation({ mounts }: RunRequest): Pick<Spec["linux"], "rootfsPropagation"> {
  if (mounts.length === 0) return {}
  const asked = (words: readonly string[]) => mounts.some(({ options }) => options.some((word) => words.includes(word)))
  if (asked(SHARED)) return { rootfsPropagation: "shared" }
  return asked(SLAVE) ? { rootfsPropagation: "rslave" } : {}
}

// toybox itself needs this; the default profile asks for less.
const OLDEST_KERNEL = [5, 12] as const

function resolve(seccomp: SeccompRequest, { bounding }: Capabilities, compat: boolean): LinuxSeccomp {
  const place = { capabilities: bounding, machine: MACHINE, kernel: OLDEST_KERNEL }
  if (typeof seccomp === "string") return defaultSeccomp(place, compat || seccomp === "builtin")
  return resolveProfile(seccomp.profile, { ...place, kernel: seccomp.kernel })
}

/** Whether a profile is the one that a container with these capabilities has where none is asked for, and no program of 32 bits. */
export const isUsualSeccomp = (profile: LinuxSeccomp, capabilities: Capabilities): boolean =>
  JSON.stringify(profile) === JSON.stringify(resolve("default", capabilities, false))

/** Sets linux.seccomp, resolved when it is first read: a usual container is started with a ready-made filter before that. */
function setSeccomp(spec: Spec, { seccomp }: RunRequest, compat: boolean): void {
  if (seccomp === null) return
  const { capabilities } = spec.process
  let resolved: LinuxSeccomp | undefined
  const get = () => (resolved ??= resolve(seccomp, capabilities, compat))
  // Configurable: a second attempt to start finds the identity once more.
  Object.defineProperty(spec.linux, "seccomp", { get, enumerable: true, configurable: true })
}

const NO_CAPABILITIES: Capabilities = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] }

/** Fills in what only the container's own files can tell; until then nobody may do nothing. */
export function applyIdentity(
  spec: Spec,
  request: RunRequest,
  identity: Identity,
  ownCapabilities: readonly string[],
): void {
  spec.process.user = { ...identity.user, ...(request.umask === undefined ? {} : { umask: request.umask }) }
  spec.process.env = [...identity.env]
  spec.process.capabilities = capabilitySets(request, identity.user.uid, ownCapabilities)
  setSeccomp(spec, request, identity.compat ?? false)
}

/** The spec of `run`, but for who runs the command: see applyIdentity. */
export function generate(request: RunRequest, place: Place): Spec {
  const { privileged } = request
  const modes = request.namespaces
  const ownNetwork = (modes.network?.mode ?? "private") === "private"
  return {
    ociVersion: "1.2.0",
    ...(request.hostname === undefined ? {} : { hostname: request.hostname }),
    ...(request.domainname === undefined ? {} : { domainname: request.domainname }),
    root: { path: place.rootPath, readonly: request.readonlyRoot },
    process: {
      terminal: request.terminal,
      ...(request.consoleSize ? { consoleSize: request.consoleSize } : {}),
      cwd: request.workdir,
      env: [],
      args: request.args,
      user: { uid: 0, gid: 0, additionalGids: [] },
      capabilities: NO_CAPABILITIES,
      rlimits: [...request.rlimits],
      noNewPrivileges: request.noNewPrivileges,
      ...(request.oomScoreAdj === undefined ? {} : { oomScoreAdj: request.oomScoreAdj }),
    },
    mounts: allMounts(request, place.files),
    annotations: { ...request.labels, ...request.annotations },
    linux: {
      ...propagation(request),
      namespaces: namespaces(modes),
      devices: allDevices(request),
      cgroupsPath: place.cgroupsPath,
      resources: { ...request.resources, devices: deviceRules(request) },
      sysctl: { ...(ownNetwork ? NETWORK_SYSCTLS : {}), ...request.sysctl },
      maskedPaths: privileged ? [] : [...MASKED_PATHS],
      readonlyPaths: privileged ? [] : [...READONLY_PATHS],
    },
  }
}
