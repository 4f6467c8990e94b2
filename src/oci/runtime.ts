/** OCI runtime-spec 1.2, config.json for Linux: the internal language. Field names are the specification's. */
import type { LinuxResources } from "./resources.ts"
import type { LinuxSeccomp } from "./seccomp.ts"

export interface Spec {
  ociVersion: string
  hostname?: string
  domainname?: string
  root: Root
  process: Process
  mounts: Mount[]
  annotations?: Record<string, string>
  linux: Linux
}

export interface Root {
  path: string
  readonly?: boolean
}

export interface Process {
  terminal?: boolean
  consoleSize?: { height: number; width: number }
  cwd: string
  env: string[]
  args: string[]
  user: User
  capabilities: Capabilities
  rlimits: Rlimit[]
  noNewPrivileges: boolean
  oomScoreAdj?: number
}

export interface User {
  uid: number
  gid: number
  umask?: number
  additionalGids: number[]
}

/** The five sets, as names with the CAP_ prefix. */
export interface Capabilities {
  bounding: string[]
  effective: string[]
  permitted: string[]
  inheritable: string[]
  ambient: string[]
}

export interface Rlimit {
  /** RLIMIT_NOFILE and so on. */
  type: string
  soft: number
  hard: number
}

export interface Mount {
  destination: string
  type: string
  source: string
  options: string[]
}

export interface Linux {
  namespaces: Namespace[]
  devices: Device[]
  cgroupsPath: string
  resources: LinuxResources
  sysctl: Record<string, string>
  seccomp?: LinuxSeccomp
  rootfsPropagation?: string
  maskedPaths: string[]
  readonlyPaths: string[]
}

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time"

export interface Namespace {
  type: NamespaceType
  /** A namespace file to join; without it a new namespace is made. */
  path?: string
}

export interface Device {
  type: "c" | "b" | "p" | "u"
  path: string
  major: number
  minor: number
  fileMode?: number
  uid?: number
  gid?: number
}
