/**
 * The whole vocabulary of side effects of a container. Each step is complete in itself; launch/encode.ts turns it
 * into libc calls, plan/describe.ts into a shell line. A plan has one list per moment.
 */
import type { IOPriority, NamespaceType, Personality, Scheduler } from "../oci/runtime.ts"

/** Attributes of a mount as mount_setattr(2) takes them, and its propagation (MS_*). */
export interface MountAttributes {
  set: number
  clear: number
  recursiveSet: number
  recursiveClear: number
  propagation: number
}

/**
 * What must be done before the clone, by a process that is not toybox: to join a pid namespace (which takes effect for
 * children only), to join a user namespace that is to own the new ones, to set the clocks of a new time namespace.
 */
export interface CloneHelper {
  joins: readonly { namespace: NamespaceType; path: string; fd: number }[]
  /** The text of /proc/self/timens_offsets: time_namespaces(7). */
  timeOffsets?: string
}

/** Descriptors for 0, 1 and 2; null stands for the null device. */
export type StandardFds = readonly [number | null, number | null, number | null]

export type Step =
  // The host, before.
  /** With an owner, exactly this mode, whatever the umask. */
  | { kind: "mkdir"; path: string; mode: number; owner?: { uid: number; gid: number } }
  /** `copyOf`: the file that the content is of. */
  | { kind: "create-file"; path: string; content: string | Uint8Array; copyOf?: string; mode: number }
  /** `below`: further layers, the nearest first; `links` names them all, from the working directory: overlay/links.ts. */
  | {
      kind: "overlay"
      lower: string
      below?: readonly string[]
      links?: Uint8Array
      upper: string
      work: string
      merged: string
      options: readonly string[]
    }
  | { kind: "bind-root"; path: string }
  // Stage one.
  | { kind: "clone"; namespaces: readonly NamespaceType[]; cgroupFd?: number; helper?: CloneHelper }
  | { kind: "close-other-fds"; keep: readonly number[] }
  | { kind: "parent-death-signal"; signal: number }
  | { kind: "join-cgroup"; path: string }
  | { kind: "unshare"; namespaces: readonly NamespaceType[] }
  | { kind: "setns"; namespace: NamespaceType; path: string; fd: number }
  | { kind: "propagation"; flags: number; chrooted: boolean }
  /** `apart` where others see it: what is mounted in the root is not to spread among them. */
  | { kind: "attach-root"; path: string; apart?: boolean }
  | {
      kind: "mount"
      type: string
      source: string
      target: string
      attributes: MountAttributes
      data: readonly (readonly [string, string | null])[]
      /** Mounted here first, by mount(2): fsconfig(2) takes no values of more than 255 bytes. */
      detour?: string
    }
  /** A source that keeps its ties with the host's mounts is taken before all others are cut. */
  | { kind: "take-source"; source: string; target: string; recursive: boolean; noFollow: boolean; propagation: number }
  | {
      kind: "bind"
      source: string
      target: string
      directory: boolean
      recursive: boolean
      attributes: MountAttributes
      coverSymlink: boolean
      taken?: boolean
      /** The parent has taken it already: a mount that is attached nowhere. */
      fd?: number
      /** A file in what a step before has attached for a while: `device-nodes`. */
      within?: number
      /** By then a step before has moved it to its place: a copy of it is mounted here. */
      again?: boolean
      /** Not where a symbolic link leads, but the link itself. */
      sourceNoFollow?: boolean
    }
  /** Changes what is mounted at a place, and with `data` its file system. */
  | {
      kind: "remount"
      target: string
      attributes: MountAttributes
      data: readonly (readonly [string, string | null])[]
    }
  | {
      kind: "device"
      path: string
      type: "c" | "b" | "p"
      major: number
      minor: number
      mode: number
      uid: number
      gid: number
      /** In a directory of the root's own, which may have one already. */
      existing?: boolean
    }
  /** Nodes that the parent has made: a copy can be taken of attached mounts only. */
  | { kind: "device-nodes"; fd: number; path: string }
  /** /dev or /dev/pts is a mount of the user's: it is taken as it is. */
  | { kind: "given-dev" }
  | { kind: "symlink"; target: string; path: string }
  | { kind: "touch"; path: string }
  | { kind: "console"; height: number; width: number; socketFd: number }
  | { kind: "mask-source"; path: string }
  /** Without `directory` it is looked what is there. */
  | { kind: "mask"; path: string; directory?: boolean | undefined }
  | { kind: "readonly-path"; path: string }
  | { kind: "readonly-mount"; path: string }
  | { kind: "sysctl"; key: string; value: string }
  | { kind: "hostname"; name: string }
  | { kind: "domainname"; name: string }
  | { kind: "loopback" }
  | { kind: "mkdir-in-root"; path: string }
  | { kind: "readonly-root" }
  | { kind: "root-propagation"; flags: number; path: string }
  | { kind: "pivot-root"; chrooted: boolean }
  | { kind: "move-root"; detach: readonly string[] }
  /** In a mount namespace that is shared with others, whose root stays what it is: chroot(2), to a descriptor of the parent's if given. */
  | { kind: "enter-root"; fd?: number }
  | { kind: "rlimit"; type: string; soft: number; hard: number }
  | { kind: "oom-score"; value: number }
  /** The one that the container has in /dev (`own`), or a new one, opened for the next step. */
  | { kind: "null-device"; own: boolean }
  | { kind: "stdio"; fds: StandardFds }
  | { kind: "await-go"; fd: number; what: string }
  /** Tells the parent that this moment has come, and waits for its word. */
  | { kind: "sync"; moment: number; reportFd: number; fd: number }
  /** Tells the parent that this moment has come, and goes on. */
  | { kind: "tell"; moment: number; reportFd: number }
  | { kind: "seal"; memfd: number; keep: readonly number[] }
  /** User and group 0 of a new user namespace, whose maps are there. */
  | { kind: "become-root" }
  // Stage two.
  | { kind: "scheduler"; scheduler: Scheduler }
  | { kind: "io-priority"; class: IOPriority["class"]; priority: number }
  | { kind: "personality"; domain: Personality["domain"] }
  /** What a security module is to do at the exec; `file` is below /proc/self/attr. `field` names it in errors. */
  | { kind: "label"; field: string; file: string; value: string }
  | { kind: "cpu-affinity"; cpus: readonly number[] }
  | { kind: "session"; terminal: boolean }
  | { kind: "own-terminal"; uid: number }
  | { kind: "default-signals" }
  | { kind: "chdir"; path: string }
  | { kind: "bounding-set"; drop: readonly number[] }
  | {
      kind: "user"
      uid: number
      gid: number
      groups: readonly number[]
      keepCapabilities: boolean
      /** A user namespace may forbid to change the groups: those of toybox stay then, as far as it maps them. */
      groupsMayStay?: boolean
      /** Those of toybox stay in any case. */
      keepsGroups?: boolean
    }
  | {
      kind: "capabilities"
      effective: readonly number[]
      permitted: readonly number[]
      inheritable: readonly number[]
      ambient: readonly number[]
    }
  | { kind: "no-new-privileges" }
  | { kind: "session-keyring" }
  | { kind: "unblock-signals" }
  | {
      kind: "seccomp"
      program: Uint8Array
      flags: number
      listener?: { socketFd: number; message: Uint8Array }
    }
  | { kind: "umask"; mask: number }
  | { kind: "init"; reportFd: number; terminal: boolean }
  /** One of the candidates must look as if it could be executed. */
  | { kind: "check-command"; candidates: readonly string[] }
  /** Those of a running process. */
  | { kind: "enter-namespaces"; pidFd: number; namespaces: readonly NamespaceType[] }
  | { kind: "enter-pid-namespace"; reportFd: number }
  | { kind: "new-terminal"; height: number; width: number; socketFd: number }
  | { kind: "exec"; candidates: readonly string[]; args: readonly string[]; env: readonly string[] }

export type StepOf<K extends Step["kind"]> = Extract<Step, { kind: K }>
