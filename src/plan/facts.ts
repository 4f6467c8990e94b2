/** What a plan needs to know of the host, resolved beforehand so that planning itself does no I/O. */
import type { Device, Mount, NamespaceType } from "../oci/runtime.ts"
import type { StandardFds, Step } from "./steps.ts"

/** A cgroup file system as the container sees it. */
export interface CgroupMount {
  /** Its directory under /sys/fs/cgroup. */
  name: string
  type: "cgroup" | "cgroup2"
  options: readonly (readonly [string, string | null])[]
  /** Without a cgroup namespace: the container's own directory on the host, which is bound instead. */
  path?: string
}

export interface SeccompProgram {
  program: Uint8Array
  flags: number
  listener?: { socketFd: number; message: Uint8Array }
}

/** What is bound into a container. */
export interface Source {
  directory: boolean
  /** Where a symbolic link leads that is to be copied. */
  link?: string
}

/** What has to be known before the clone. */
export interface OpeningFacts {
  /** Make the root, detached or as a directory that is then bound. None where the parent has. */
  rootSteps: readonly Step[]
  cgroup: {
    /** A cgroup v2 directory for CLONE_INTO_CGROUP. */
    fd?: number
  }
  /** Namespace files held open, by path. */
  namespaceFds: ReadonlyMap<string, number>
  /** For 0, 1 and 2; or the socket over which the terminal's master is handed back. */
  stdio: StandardFds | { socketFd: number }
  /** That socket is open before there is a program. */
  listenerFd?: number
  /** Whether the container dies with toybox. */
  parentDeathSignal: boolean
  /** Kept open until stage two: the failure report and, with --trace, the trace. */
  reportFd: number
  traceFd?: number
  /** The sealed stage two; it is there when a byte comes over `goFd`. */
  memfd: number
  goFd: number
  /** Mounts that the parent has made beforehand, attached nowhere. */
  madeMounts?: ReadonlyMap<Mount, number>
  /** Modes of the directories that a tmpfs covers which is told none: as runc and crun have it, it is no more open than those. */
  coveredModes?: ReadonlyMap<Mount, number>
  /**
   * What is bound for devices that the container cannot make itself: names in a tmpfs of the parent's, `fd`, or paths of the host.
   */
  deviceSources?: { fd?: number; nodes: ReadonlyMap<Device, string> }
  /** Descriptors of the parent that stage one itself uses. */
  stageOneFds: readonly number[]
  /** The parent is told when there is a network namespace, and connects it. */
  awaitsNetwork?: boolean
  /** The command waits for a byte here, behind everything else: `oci create`. */
  startFd?: number
  /** The command is executed when a byte comes here: by then it is written down, whatever happens to the parent. */
  recordedFd?: number
  /** What stage two needs to enter a container: a pidfd, a console socket. */
  enterFds?: readonly number[]
  /** Descriptors that the command gets as they are: --preserve-fds. */
  passedFds?: readonly number[]
}

/** All that a plan needs to know. */
export interface Facts extends OpeningFacts {
  /** Where the root is attached in the child, just before the host's is left. */
  rootMountPoint: string
  /** A directory of the host that may be mounted over in the child. */
  scratchMountPoint: string
  /** The host's root cannot be pivoted away from: the mounts to detach instead. */
  unpivotable: readonly string[] | null
  /** toybox is in a chroot(2): the root of its mount namespace is another directory. */
  chrooted: boolean
  cgroup: OpeningFacts["cgroup"] & {
    /** cgroup.procs files that the child writes itself into. */
    join: readonly string[]
  }
  cgroupView: {
    mounts: readonly CgroupMount[]
    /** Links beside them, e.g. cpu → cpu,cpuacct. */
    links: readonly (readonly [string, string])[]
    /** Instead: the host's tree, for --cgroupns host. */
    hostPath?: string
  }
  /** By source of a bind mount. */
  sources: ReadonlyMap<string, Source>
  /** Sources that toybox itself provides: they cover a symlink instead of following it. */
  ownFiles: ReadonlySet<string>
  /** Of the masked and read-only paths, those that may exist; the container itself looks which kind is there if it is not said. */
  present: ReadonlyMap<string, { directory?: boolean }>
  /** The highest capability this kernel knows: /proc/sys/kernel/cap_last_cap. */
  lastCapability: number
  /** toybox is in a user namespace itself, which may forbid it to change its groups: setgroups of proc(5). */
  groupsMayStay?: boolean
  /** The command keeps toybox's groups, whatever others it is to have. */
  keepsGroups?: boolean
  /** What seccomp(2) loads, and the socket over which a notify descriptor is handed to its supervisor. */
  seccomp?: SeccompProgram
  init: boolean
  /** Directories and files made in the root where they are missing. */
  rootFiles: Step[]
  /** The parent has something to do (hooks) before the host's root is left; it says over `goFd` when it is done. */
  awaitHooks?: boolean
  /** The root is moved over the host's instead of pivoted to: --no-pivot. */
  noPivot?: boolean
  /** The command keeps the caller's session keyring: --no-new-keyring. */
  keepKeyring?: boolean
}

/** Namespaces in the order in which they are joined: setns(2) into a user namespace must come first. */
export const JOIN_ORDER: readonly NamespaceType[] = ["user", "ipc", "uts", "network", "cgroup", "time", "mount"]

/** What a waiting child tells the parent: its hooks may run; the command may be started. */
export const MOMENT_HOOKS = 1
export const MOMENT_READY = 2
/** The child of a user namespace waits for its maps, and what else needs the rights outside. */
export const MOMENT_MAPS = 3
/** There is a network namespace to connect. */
export const MOMENT_NETWORK = 4

/** The descriptors that stage two needs for itself. */
export const keptBySealed = (
  facts: Pick<Facts, "reportFd" | "traceFd" | "listenerFd" | "startFd" | "recordedFd" | "enterFds">,
): number[] =>
  [facts.reportFd, facts.traceFd, facts.listenerFd, facts.startFd, facts.recordedFd, ...(facts.enterFds ?? [])].filter(
    (fd) => fd !== undefined,
  )
