/** What is in the container's /dev: steps → calls. */
import { at, type Call, out, type Slot, slot } from "../../../ffi/calls.ts"
import { EACCES, EEXIST, ELOOP, ENOENT, ENOTDIR } from "../../../ffi/constants/errno.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts"
import { MOVE_MOUNT_F_EMPTY_PATH } from "../../../ffi/constants/mount.ts"
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, STATX_BASIC_STATS } from "../../../ffi/constants/stat.ts"
import type { StepOf } from "../../plan/steps.ts"
import { openInRoot, openTarget, TARGET } from "./root.ts"

/** Kept by fd: what is made or mounted there is made there and nowhere else. */
export const DEV = slot("dev")
export const PTS = slot("devpts")

export const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/"))
export const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1)

// Linux's dev_t as mknod(2) takes it: makedev(3).
export const makedev = (major: number, minor: number) =>
  (minor & 0xff) + (major & 0xfff) * 256 + Math.floor(minor / 256) * 2 ** 20

/** The directory that a device node or link goes to: /dev itself is known by fd. */
function openParent(path: string): { calls: Call[]; directory: Slot } {
  const parent = parentOf(path)
  return parent === "/dev"
    ? { calls: [], directory: DEV }
    : { calls: openTarget(parent || "/", "directory"), directory: TARGET }
}

const STX_MODE = 28
const STX_RDEV = 128

/** What has the name already, or is open (no name), must be the very device: statx(2). */
export function checkDevice(
  directory: Slot,
  name: string,
  type: number,
  { major, minor }: Pick<StepOf<"device">, "major" | "minor">,
): Call[] {
  const found = out("device", 256)
  const numbers = type === S_IFIFO ? [] : [major, minor]
  return [
    { name: "statx", args: [directory, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC_STATS, found] },
    { name: "load", args: [at(found, STX_MODE), S_IFMT], fails: { mask: S_IFMT, unless: type } },
    ...numbers.map(
      (number, i): Call => ({
        name: "load",
        args: [at(found, STX_RDEV + 4 * i), 0xffffffff],
        fails: { mask: 0xffffffff, unless: number },
      }),
    ),
  ]
}

const PTMX = { major: 5, minor: 2 }

/**
 * A new terminal of the container's devpts. Where that is the host's, its own ptmx lets nobody in, and that of the host's /dev is
 * open to all: ptmx(4).
 */
export function openTerminal(ofDevpts: Call, ofDev: Call, into: Slot): Call[] {
  const check = checkDevice(into, "", S_IFCHR, PTMX)
  return [
    { ...ofDevpts, into, tolerate: [EACCES], jump: { when: "not-equal", value: -1, skip: 1 + check.length } },
    { ...ofDev, into },
    ...check,
  ]
}

export function device(step: StepOf<"device">): Call[] {
  const type = { c: S_IFCHR, b: S_IFBLK, p: S_IFIFO }[step.type]
  const name = nameOf(step.path)
  const { calls, directory } = openParent(step.path)
  const make: Call = { name: "mknodat", args: [directory, name, type | step.mode, makedev(step.major, step.minor)] }
  const own: Call = { name: "fchownat", args: [directory, name, step.uid, step.gid, AT_SYMLINK_NOFOLLOW] }
  const isOwned = step.uid !== 0 || step.gid !== 0
  if (!step.existing) return [...calls, make, ...(isOwned ? [own] : [])]
  const check = checkDevice(directory, name, type, step)
  const isThere = { when: "equal", value: -1, skip: 1 } as const
  const isMade = { when: "not-equal", value: -1, skip: check.length } as const
  // What is there already may be the host's: it stays as it is.
  const tolerate = [EEXIST]
  return isOwned
    ? [...calls, { ...make, tolerate, jump: isThere }, { ...own, jump: isMade }, ...check]
    : [...calls, { ...make, tolerate, jump: isMade }, ...check]
}

export function symlink(step: StepOf<"symlink">): Call[] {
  const { calls, directory } = openParent(step.path)
  return [...calls, { name: "symlinkat", args: [step.target, directory, nameOf(step.path)], tolerate: [EEXIST] }]
}

/** Over a place that goes away with the old root. */
export const deviceNodes = ({ fd, path }: StepOf<"device-nodes">): Call[] => [
  { name: "move_mount", args: [fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH] },
]

/** What later steps need of a /dev that is not ours, with what is mounted in it; a terminal needs a devpts. */
export const givenDev = (): Call[] => [
  openInRoot("dev", O_PATH | O_DIRECTORY, DEV, RESOLVE_NO_SYMLINKS),
  { ...openInRoot("dev/pts", O_PATH | O_DIRECTORY, PTS, RESOLVE_NO_SYMLINKS), tolerate: [ENOENT, ENOTDIR, ELOOP] },
]

/** An empty file, where nothing is yet. */
export function touch(step: StepOf<"touch">): Call[] {
  const { calls, directory } = openParent(step.path)
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
  return [...calls, { name: "openat", args: [directory, nameOf(step.path), flags, 0o755], tolerate: [EEXIST] }]
}
