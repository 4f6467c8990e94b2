/** What is mounted, made or hidden inside the root: steps → calls. */

import { type Arg, at, type Call, out, type Slot, slot } from "../../../ffi/calls.ts"
import { EEXIST, EINVAL } from "../../../ffi/constants/errno.ts"
import {
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "../../../ffi/constants/fcntl.ts"
import { TIOCGPTPEER, TIOCSPTLCK, TIOCSWINSZ } from "../../../ffi/constants/ioctl.ts"
import {
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
  MNT_DETACH,
} from "../../../ffi/constants/mount.ts"
import { CMSG_FD_OFFSET, CMSG_FD_SIZE, messageHeader, OPEN_HOW_SIZE, openHow, winsize } from "../../../ffi/structs.ts"
import type { MountAttributes, StepOf } from "../../plan/steps.ts"
import { DEV, nameOf, openTerminal, PTS, parentOf } from "./devices.ts"
import { notInProc, PROC, rememberProc } from "./proc.ts"
import { copyMount, FS, MOUNT, moveToTarget, newMount, openInRoot, openTarget, setAttributes, TARGET } from "./root.ts"

/** The container's own, kept by fd as its procfs, devpts and device tmpfs are: writes go there and nowhere else. */
const CGROUP = slot("cgroup")
const FILE = slot("file")
const MASTER = slot("console master")
const SLAVE = slot("console")

function applyAttributes(
  mount: Arg,
  { set, clear, recursiveSet, recursiveClear, propagation }: MountAttributes,
): Call[] {
  const calls: Call[] = []
  if (set || clear) calls.push(setAttributes(mount, set, clear, false))
  if (recursiveSet || recursiveClear) calls.push(setAttributes(mount, recursiveSet, recursiveClear, true))
  if (propagation) calls.push(setAttributes(mount, 0, 0, true, propagation))
  return calls
}

// Later steps need these by fd.
const KEPT: Record<string, Slot> = { "/proc": PROC, "/dev": DEV, "/dev/pts": PTS, "/sys/fs/cgroup": CGROUP }

/** Directories directly below a file system of our own need no walk from the root. */
function openMountTarget(target: string, type: string): Call[] {
  const parent = parentOf(target)
  const own = parent === "/dev" ? DEV : parent === "/sys/fs/cgroup" && type === "cgroup" ? CGROUP : null
  if (own === null) return openTarget(target, "directory")
  const name = nameOf(target)
  return [
    { name: "mkdirat", args: [own, name, 0o755], tolerate: [EEXIST] },
    { name: "openat", args: [own, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0], into: TARGET },
  ]
}

/** mount(2) takes what fsconfig(2) does not; from there the mount is moved. Both are of the child's own namespace. */
function mountByDetour({ type, source, data, attributes }: StepOf<"mount">, path: string, into: Slot): Call[] {
  const text = data.map(([key, value]) => (value === null ? key : `${key}=${value}`)).join(",")
  const { set, clear, recursiveSet } = attributes
  return [
    { name: "mount", args: [source, path, type, 0, text] },
    copyMount(AT_FDCWD, path, false, into),
    { name: "umount2", args: [path, MNT_DETACH] },
    ...(set || clear || recursiveSet ? [setAttributes(into, set | recursiveSet, clear, false)] : []),
  ]
}

/** mount_setattr(2) of what is there; its file system's own options by fspick(2). */
export function remount({ target, attributes, data }: StepOf<"remount">): Call[] {
  const config = data.map(
    ([key, value]): Call => ({
      name: "fsconfig",
      args: [FS, value === null ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value, 0],
    }),
  )
  const reconfigure: Call[] = [
    { name: "fspick", args: [TARGET, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH], into: FS },
    ...config,
    { name: "fsconfig", args: [FS, FSCONFIG_CMD_RECONFIGURE, null, null, 0] },
  ]
  return [
    openInRoot(target.slice(1), O_PATH, TARGET, RESOLVE_NO_SYMLINKS),
    ...applyAttributes(TARGET, attributes),
    ...(data.length > 0 ? reconfigure : []),
  ]
}

export function mount(step: StepOf<"mount">): Call[] {
  const { target, attributes } = step
  const into = KEPT[target] ?? MOUNT
  return [
    ...(step.detour === undefined
      ? newMount(step.type, step.source, step.data, attributes.set | attributes.recursiveSet, into)
      : mountByDetour(step, step.detour, into)),
    ...openMountTarget(target, step.type),
    ...notInProc(target),
    moveToTarget(into),
    ...(into === PROC ? rememberProc() : []),
    ...(attributes.propagation ? [setAttributes(into, 0, 0, true, attributes.propagation)] : []),
  ]
}

/** What was taken before the propagation was cut, by what tells it from others. */
const taken = new Map<string, Slot>()
const takenKey = ({ source, target }: { source: string; target: string }) => `${source}\0${target}`

export function takeSource(step: StepOf<"take-source">): Call[] {
  const into = slot("source")
  taken.set(takenKey(step), into)
  return [
    copyMount(AT_FDCWD, step.source, step.recursive, into, step.noFollow),
    setAttributes(into, 0, 0, true, step.propagation),
  ]
}

/** A copy of the copy, made in its turn: mounts are listed in the order of their making. Of a detached one since Linux 6.15. */
const takenAgain = (source: Slot, recursive: boolean, into: Slot): Call[] => [
  {
    ...copyMount(source, "", recursive, into),
    tolerate: [EINVAL],
    jump: { when: "not-equal", value: -1, skip: 1 },
  },
  { name: "fcntl", args: [source, F_DUPFD_CLOEXEC, 3], into },
]

function copySource({ fd, within, again, source, recursive, sourceNoFollow }: StepOf<"bind">, into: Slot): Call[] {
  if (within !== undefined) return [copyMount(within, source, false, into, true)]
  if (fd === undefined) return [copyMount(AT_FDCWD, source, recursive, into, sourceNoFollow)]
  return [again ? copyMount(fd, "", recursive, into) : { name: "fcntl", args: [fd, F_DUPFD_CLOEXEC, 3], into }]
}

export function bind(step: StepOf<"bind">): Call[] {
  // What later steps need is known by its slot.
  const from = KEPT[step.target] ?? MOUNT
  const source = step.taken ? taken.get(takenKey(step)) : undefined
  return [
    ...(source === undefined ? copySource(step, from) : takenAgain(source, step.recursive, from)),
    ...applyAttributes(from, step.attributes),
    ...openTarget(step.target, step.directory ? "directory" : "file", { coverSymlink: step.coverSymlink }),
    ...notInProc(step.target),
    moveToTarget(from),
    ...(from === PROC ? rememberProc() : []),
  ]
}

export const mkdirInRoot = (step: StepOf<"mkdir-in-root">): Call[] => openTarget(step.path, "directory")

/** Hands a descriptor over a connected socket: SCM_RIGHTS of unix(7). */
export function sendDescriptor(descriptor: Slot, socketFd: number): Call[] {
  const control = out("control message", CMSG_FD_SIZE)
  return [
    // cmsg_len, SOL_SOCKET, SCM_RIGHTS, the descriptor.
    { name: "load", args: [at(descriptor, 0), 0xffffffff], into: { at: at(control, CMSG_FD_OFFSET), size: 4 } },
    { name: "load", args: [new Uint8Array([20, 0, 0, 0, 0, 0, 0, 0]), -1], into: { at: at(control, 0), size: 8 } },
    { name: "load", args: [new Uint8Array([1, 0, 0, 0, 1, 0, 0, 0]), -1], into: { at: at(control, 8), size: 8 } },
    { name: "sendmsg", args: [socketFd, messageHeader(new Uint8Array([0]), 1, control), 0] },
  ]
}

/**
 * The terminal: made in the container's devpts, its slave bound to /dev/console and put on 0, 1 and 2, its master
 * handed to the parent: pty(7), ioctl_tty(2). TIOCGPTPEER instead of a path: CVE-2025-52565.
 */
export function terminal(step: StepOf<"console">): Call[] {
  return [
    ...openTerminal(
      { name: "openat", args: [PTS, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0] },
      { name: "openat", args: [DEV, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC, 0] },
      MASTER,
    ),
    { name: "ioctl", args: [MASTER, TIOCSPTLCK, new Uint8Array(4)] },
    { name: "ioctl", args: [MASTER, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], into: SLAVE },
    { name: "ioctl", args: [SLAVE, TIOCSWINSZ, winsize(step.height, step.width)] },
    // A /dev of the user's may have one.
    {
      name: "openat",
      args: [DEV, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600],
      tolerate: [EEXIST],
    },
    copyMount(SLAVE, "", false),
    openInRoot("dev/console", O_PATH, TARGET, RESOLVE_NO_SYMLINKS),
    moveToTarget(),
    ...sendDescriptor(MASTER, step.socketFd),
    ...[0, 1, 2].map((fd): Call => ({ name: "dup2", args: [SLAVE, fd] })),
  ]
}

/** Where the first separator of a name is a slash, dots belong to its parts: sysctl(8). */
function sysctlPath(key: string): string {
  const [dot, slash] = [key.indexOf("."), key.indexOf("/")]
  if (slash >= 0 && (dot < 0 || slash < dot)) return key
  return key
    .split(".")
    .map((part) => part.replaceAll("/", "."))
    .join("/")
}

/** Written through the fd of the container's own procfs: CVE-2025-52881. */
export function sysctl(step: StepOf<"sysctl">): Call[] {
  const how = openHow(
    O_WRONLY | O_CLOEXEC,
    RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
  )
  const bytes = new TextEncoder().encode(step.value)
  return [
    { name: "openat2", args: [PROC, `sys/${sysctlPath(step.key)}`, how, OPEN_HOW_SIZE], into: FILE },
    { name: "write", args: [FILE, bytes, bytes.length] },
    { name: "close", args: [FILE] },
  ]
}
