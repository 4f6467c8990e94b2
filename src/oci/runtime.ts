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
  hooks?: Hooks
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
  scheduler?: Scheduler
  ioPriority?: IOPriority
  apparmorProfile?: string
  selinuxLabel?: string
  /** Of processes that join a container, not of its first one. */
  execCPUAffinity?: CPUAffinity
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
  /** Infinity is no limit. */
  soft: number
  hard: number
}

export const SCHEDULER_POLICIES = [
  "SCHED_OTHER",
  "SCHED_FIFO",
  "SCHED_RR",
  "SCHED_BATCH",
  "SCHED_ISO",
  "SCHED_IDLE",
  "SCHED_DEADLINE",
] as const

export const SCHEDULER_FLAGS = [
  "SCHED_FLAG_RESET_ON_FORK",
  "SCHED_FLAG_RECLAIM",
  "SCHED_FLAG_DL_OVERRUN",
  "SCHED_FLAG_KEEP_POLICY",
  "SCHED_FLAG_KEEP_PARAMS",
  "SCHED_FLAG_UTIL_CLAMP_MIN",
  "SCHED_FLAG_UTIL_CLAMP_MAX",
] as const

/** sched_setattr(2); times in nanoseconds. */
export interface Scheduler {
  policy: (typeof SCHEDULER_POLICIES)[number]
  nice?: number
  priority?: number
  flags?: (typeof SCHEDULER_FLAGS)[number][]
  runtime?: number
  deadline?: number
  period?: number
}

export const IO_PRIORITY_CLASSES = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"] as const

/** ioprio_set(2); the priority is 0 (highest) to 7. */
export interface IOPriority {
  class: (typeof IO_PRIORITY_CLASSES)[number]
  priority?: number
}

/** Lists of processors, as cpuset(7) writes them: `0-3,5`. */
export interface CPUAffinity {
  initial?: string
  final?: string
}

/** A range of ids: `size` from `containerID` on are those from `hostID` on outside. user_namespaces(7). */
export interface IDMapping {
  containerID: number
  hostID: number
  size: number
}

export interface Mount {
  destination: string
  type: string
  source: string
  options: string[]
  /** With the options idmap and ridmap. */
  uidMappings?: IDMapping[]
  gidMappings?: IDMapping[]
}

/** A program that is run at a moment of the container's life. */
export interface Hook {
  path: string
  /** With the name of the program as the first. */
  args?: string[]
  env?: string[]
  /** Seconds. */
  timeout?: number
}

export interface Hooks {
  prestart?: Hook[]
  createRuntime?: Hook[]
  createContainer?: Hook[]
  startContainer?: Hook[]
  poststart?: Hook[]
  poststop?: Hook[]
}

export interface Linux {
  namespaces: Namespace[]
  uidMappings?: IDMapping[]
  gidMappings?: IDMapping[]
  /** By clock: "monotonic", "boottime". */
  timeOffsets?: Record<string, TimeOffset>
  devices: Device[]
  /** Empty: the runtime chooses. */
  cgroupsPath: string
  resources: LinuxResources
  sysctl: Record<string, string>
  seccomp?: LinuxSeccomp
  rootfsPropagation?: string
  maskedPaths: string[]
  readonlyPaths: string[]
  mountLabel?: string
  personality?: Personality
}

export interface TimeOffset {
  secs?: number
  nanosecs?: number
}

export interface Personality {
  domain: "LINUX" | "LINUX32"
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
