/** What `run` was asked for, read from the command line and checked: the input of generate.ts. */
import type { LinuxDeviceCgroup, LinuxResources } from "../oci/resources.ts"
import type { Mount, NamespaceType, Rlimit } from "../oci/runtime.ts"
import type { Circumstances, Profile } from "../security/seccomp/resolve.ts"

/** A container to share a namespace with; its host name is unset where that is the host's. */
export interface RunningContainer {
  id: string
  pid: number
  hostname?: string | undefined
  /** The directory of its /etc/hosts, /etc/hostname and /etc/resolv.conf: of a container that it shares a network with, even. */
  files?: string | undefined
}

/** "private": a new one; "host": toybox's own; one that is mounted at a path; or the namespace of a running container. */
export type NamespaceMode =
  | { mode: "private" }
  | { mode: "host" }
  | { mode: "path"; path: string }
  | ({ mode: "container" } & RunningContainer)

/**
 * "default": docker's profile, without 32-bit programs unless the root is made of them; "builtin": with them, as docker
 * has it; or a profile of the user's.
 */
export type SeccompRequest = "default" | "builtin" | { profile: Profile; kernel: Circumstances["kernel"] }

export interface RunRequest {
  args: string[]
  env: readonly string[]
  /** What is left out of the variables that toybox adds: names, or all but HOSTNAME and HOME. */
  unsetEnv?: readonly string[] | "all"
  /** As given; looked up in the container's own files. */
  user: string
  /** Who asks for that user, for errors: --user where it is not said. */
  userOf?: string
  groupAdd: readonly string[]
  /** Not given: 022. */
  umask?: number
  workdir: string
  hostname?: string
  domainname?: string
  terminal: boolean
  consoleSize?: { height: number; width: number }
  rlimits: readonly Rlimit[]
  oomScoreAdj?: number
  capAdd: readonly string[]
  capDrop: readonly string[]
  noNewPrivileges: boolean
  /** Null: no filter. */
  seccomp: SeccompRequest | null
  privileged: boolean
  readonlyRoot: boolean
  mounts: readonly Mount[]
  shmSize: number
  devices: readonly DeviceRequest[]
  /** Further devices that may be used. */
  deviceRules?: readonly LinuxDeviceCgroup[]
  sysctl: Readonly<Record<string, string>>
  namespaces: Readonly<Partial<Record<NamespaceType, NamespaceMode>>>
  resources: LinuxResources
  /** A zone of this machine's, or "local"; not given: the image's. */
  timeZone?: string
  labels: Readonly<Record<string, string>>
  annotations?: Readonly<Record<string, string>>
}

/** A device of the host, already looked up. */
export interface DeviceRequest {
  path: string
  type: "c" | "b"
  major: number
  minor: number
  access: string
  mode: number
  uid: number
  gid: number
}
