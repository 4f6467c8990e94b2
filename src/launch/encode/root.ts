/** Root file system, mount points inside it, and leaving the host's: steps → calls. */

import { type Arg, type Call, slot } from "../../../ffi/calls.ts"
import { EAGAIN, EEXIST, EINVAL, ENOENT } from "../../../ffi/constants/errno.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts"
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_MOVE,
  MS_PRIVATE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../../../ffi/constants/mount.ts"
import { CLONE_NEWNS } from "../../../ffi/constants/sched.ts"
import { S_IFREG } from "../../../ffi/constants/stat.ts"
import { MOUNT_ATTR_SIZE, mountAttr, OPEN_HOW_SIZE, openHow } from "../../../ffi/structs.ts"
import type { StepOf } from "../../plan/steps.ts"

/** The mounted root of the container. */
export const ROOT = slot("root")
export const FS = slot("fs")
export const MOUNT = slot("mount")
export const TARGET = slot("target")
const PARENT = slot("parent")
/** The mount namespace itself, to find its root by. */
const NAMESPACE = slot("namespace")

/** openat2(2) inside the container's root: nothing in the image can lead out of it. */
export function openInRoot(path: string, flags: number, into = TARGET, resolve = 0): Call {
  const how = openHow(flags | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve)
  return { name: "openat2", args: [ROOT, path, how, OPEN_HOW_SIZE], into }
}

/** Again, as openat2(2) asks for, where a symlink with ".." was followed while something on this machine was renamed or mounted. */
export function openAgain(path: string, flags: number, into: typeof TARGET, resolve: number): Call {
  const open = openInRoot(path, flags, into, resolve)
  if (resolve === RESOLVE_NO_SYMLINKS) return open
  return { ...open, tolerate: [EAGAIN], jump: { when: "equal", value: -1, skip: -1 } }
}

// Where the kernel's own file systems go no symlink is followed at all: CVE-2019-19921, CVE-2026-41579.
const SYSTEM = new Set(["proc", "sys", "dev"])

/** Splits an absolute, normal path: "/a/b" → ["a", "b"]. */
const components = (path: string) => path.split("/").filter((name) => name !== "")

/** Whether a place is in one of them by its name. */
export const isSystemPath = (path: string): boolean => SYSTEM.has(components(path)[0] ?? "")

/** What openat2(2) is told of symlinks on the way to a place. */
export const symlinksTo = (path: string): number => (isSystemPath(path) ? RESOLVE_NO_SYMLINKS : 0)

export type TargetKind = "directory" | "file" | "any"

/** Opens `path` inside the root as TARGET, making it (and what is above it) where it is missing. */
export function openTarget(path: string, kind: TargetKind, options: { coverSymlink?: boolean } = {}): Call[] {
  const names = components(path)
  const resolve = symlinksTo(path)
  const flags = O_PATH | (kind === "directory" ? O_DIRECTORY : 0) | (options.coverSymlink ? O_NOFOLLOW : 0)
  const make: Call[] = []
  let parent = ROOT
  let prefix = ""
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    prefix = i === 0 ? name : `${prefix}/${name}`
    const last = i === names.length - 1
    if (last && kind === "file") {
      // Something is there where the first attempt came to nothing by chance, or a symlink: the next one tells where it leads.
      make.push({ name: "mknodat", args: [parent, name, S_IFREG | 0o644, 0], tolerate: [EEXIST] })
      make.push(openAgain(prefix, flags, TARGET, resolve))
    } else {
      make.push({ name: "mkdirat", args: [parent, name, 0o755], tolerate: [EEXIST] })
      make.push(openAgain(prefix, O_PATH | O_DIRECTORY, last ? TARGET : PARENT, resolve))
      parent = PARENT
    }
  }
  const first = openAgain(prefix || ".", flags, TARGET, resolve)
  if (make.length === 0) return [first]
  // What is there is opened on the other way, too.
  return [
    {
      ...first,
      tolerate: [ENOENT, ...(first.tolerate ?? [])],
      jump: { when: "not-equal", value: -1, skip: make.length },
    },
    ...make,
  ]
}

/** Moves a detached mount onto TARGET. */
export const moveToTarget = (mount = MOUNT): Call => ({
  name: "move_mount",
  args: [mount, "", TARGET, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
})

/** fsopen, fsconfig and fsmount of a new file system instance, detached, into MOUNT. */
export function newMount(
  type: string,
  source: string,
  data: readonly (readonly [string, string | Uint8Array | null])[],
  attributes: number,
  into = MOUNT,
): Call[] {
  const config = ([key, value]: readonly [string, string | Uint8Array | null]): Call => ({
    name: "fsconfig",
    args: [FS, value === null ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value, 0],
  })
  return [
    { name: "fsopen", args: [type, FSOPEN_CLOEXEC], into: FS },
    config(["source", source]),
    ...data.map(config),
    { name: "fsconfig", args: [FS, FSCONFIG_CMD_CREATE, null, null, 0] },
    { name: "fsmount", args: [FS, FSMOUNT_CLOEXEC, attributes], into },
  ]
}

/** open_tree(2): a detached copy of what is mounted at a path, into MOUNT. */
export const copyMount = (dirFd: Arg, path: string, recursive: boolean, into = MOUNT, noFollow = false): Call => ({
  name: "open_tree",
  args: [
    dirFd,
    path,
    OPEN_TREE_CLONE |
      OPEN_TREE_CLOEXEC |
      (recursive ? AT_RECURSIVE : 0) |
      (path === "" ? AT_EMPTY_PATH : 0) |
      (noFollow ? AT_SYMLINK_NOFOLLOW : 0),
  ],
  into,
})

/** mount_setattr(2) on a mount held by fd. */
export const setAttributes = (mount: Arg, set: number, clear: number, recursive: boolean, propagation = 0): Call => ({
  name: "mount_setattr",
  args: [
    mount,
    "",
    AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
    mountAttr(set, clear, propagation),
    MOUNT_ATTR_SIZE,
  ],
})

export const OVERLAY_DIRECTORIES = ["lowerdir", "upperdir", "workdir"] as const

/**
 * The overlay, detached, as ROOT. Its directories are named by fd (the numbers `free`): fsconfig takes at most 255 bytes, and so
 * a colon or comma in a path needs no escape.
 */
export function overlay(step: StepOf<"overlay">, free: readonly number[]): Call[] {
  const opens = [step.lower, step.upper, step.work].flatMap((path, i): Call[] => [
    { name: "openat", args: [AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0], into: TARGET },
    { name: "dup3", args: [TARGET, free[i] ?? -1, O_CLOEXEC] },
    { name: "close", args: [TARGET] },
  ])
  const data = OVERLAY_DIRECTORIES.map(
    (key, i) => [key, i === 0 && step.links ? step.links : `/proc/self/fd/${free[i]}`] as const,
  )
  const options = step.options.map((option): [string, string | null] => {
    const [key = option, value = null] = option.split("=", 2)
    return [key, value]
  })
  return [...opens, ...newMount("overlay", "overlay", [...data, ...options], 0, ROOT)]
}

/** Private at once: what is mounted on a copy of a shared mount shows on the host, and stays there. */
export const bindRoot = (step: StepOf<"bind-root">): Call[] => [
  copyMount(AT_FDCWD, step.path, true, ROOT),
  setAttributes(ROOT, 0, 0, true, MS_PRIVATE),
]

export const attachRoot = (step: StepOf<"attach-root">): Call[] => [
  { name: "move_mount", args: [ROOT, "", AT_FDCWD, step.path, MOVE_MOUNT_F_EMPTY_PATH] },
  ...(step.apart ? [setAttributes(ROOT, 0, 0, true, MS_PRIVATE)] : []),
]

export const readonlyRoot = (): Call[] => [setAttributes(ROOT, MOUNT_ATTR_RDONLY, 0, false)]

export const propagation = (step: StepOf<"root-propagation">): Call[] => [
  { name: "mount", args: [null, step.path, null, step.flags, null] },
]

/** setns(2) to the namespace that one is in leads to its true root, out of any chroot(2). */
const toTrueRoot: Call = { name: "setns", args: [NAMESPACE, CLONE_NEWNS] }

/** Of every mount of the namespace, which in a chroot are more than those below "/". */
export function privateMounts(step: StepOf<"propagation">): Call[] {
  const change: Call = { name: "mount", args: [null, "/", null, step.flags, null] }
  if (!step.chrooted) return [change]
  return [
    { name: "openat", args: [AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC, 0], into: NAMESPACE },
    { name: "openat", args: [AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0], into: TARGET },
    toTrueRoot,
    change,
    // Back, for the paths of the steps that follow.
    { name: "fchdir", args: [TARGET] },
    { name: "chroot", args: ["."] },
  ]
}

/**
 * pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is detached from there. All its
 * mounts are private, so that nothing is unmounted on the host. (mount(2) of "." would be of the new root, not of the old.)
 */
const PIVOT: Call = { name: "pivot_root", args: [".", "."] }
const DETACH_OLD: Call = { name: "umount2", args: [".", MNT_DETACH] }

const MOVE: Call = { name: "mount", args: [".", "/", null, MS_MOVE, null] }
const CHROOT: Call = { name: "chroot", args: ["."] }

/** The true root of a chroot cannot be looked at beforehand: it may be the initial ramfs, where pivot_root is refused. */
const pivotOrMove = (): Call[] => [
  { ...PIVOT, tolerate: [EINVAL], jump: { when: "not-equal", value: -1, skip: 2 } },
  MOVE,
  { ...CHROOT, jump: { when: "equal", value: 0, skip: 1 } },
  DETACH_OLD,
]

/** Leaves the host's root. In a chroot a root that stays below the true one could be left upwards, with CAP_SYS_CHROOT. */
export const pivotRoot = (step: StepOf<"pivot-root">): Call[] => [
  ...(step.chrooted ? [toTrueRoot] : []),
  { name: "fchdir", args: [ROOT] },
  ...(step.chrooted ? pivotOrMove() : [PIVOT, DETACH_OLD]),
  { name: "chdir", args: ["/"] },
]

export const enterRoot = ({ fd }: StepOf<"enter-root">): Call[] => [
  { name: "fchdir", args: [fd ?? ROOT] },
  CHROOT,
  { name: "chdir", args: ["/"] },
]

/** Where pivot_root is refused (the initial ramfs cannot be left): detach what else is mounted, move, chroot. */
export const moveRoot = (step: StepOf<"move-root">): Call[] => [
  { name: "fchdir", args: [ROOT] },
  MOVE,
  // Only now: the new root may have been attached below one of these. Until the chroot "/" is still the old root.
  ...step.detach.map((path): Call => ({ name: "umount2", args: [path, MNT_DETACH], tolerate: [EINVAL, ENOENT] })),
  CHROOT,
  { name: "chdir", args: ["/"] },
]
