/** What the container must not see or change: steps → calls. */
import { type Call, slot } from "../../../ffi/calls.ts"
import { ENOENT, ENOTDIR } from "../../../ffi/constants/errno.ts"
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts"
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
} from "../../../ffi/constants/mount.ts"
import { S_IFREG } from "../../../ffi/constants/stat.ts"
import type { StepOf } from "../../plan/steps.ts"
import {
  copyMount,
  MOUNT,
  moveToTarget,
  newMount,
  openAgain,
  openInRoot,
  setAttributes,
  symlinksTo,
  TARGET,
} from "./root.ts"

const MASK = slot("mask")

/** A read-only tmpfs with one empty file and one empty directory: never the image's /dev/null (CVE-2025-31133). */
export const maskSource = (step: StepOf<"mask-source">): Call[] => [
  ...newMount(
    "tmpfs",
    "mask",
    [
      ["mode", "0755"],
      ["size", "4k"],
    ],
    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    MASK,
  ),
  { name: "mkdirat", args: [MASK, "directory", 0o555] },
  // Not open(2): a mount with a file open for writing cannot become read-only.
  { name: "mknodat", args: [MASK, "file", S_IFREG | 0o444, 0] },
  setAttributes(MASK, MOUNT_ATTR_RDONLY, 0, false),
  // A copy can be taken of attached mounts only; this place goes away with the old root.
  { name: "move_mount", args: [MASK, "", AT_FDCWD, step.path, MOVE_MOUNT_F_EMPTY_PATH] },
]

export function mask({ path, directory }: StepOf<"mask">): Call[] {
  const open = (flags: number, skip: number): Call => ({
    ...openInRoot(path.slice(1), O_PATH | flags),
    tolerate: [ENOENT, ENOTDIR],
    jump: { when: "equal", value: -1, skip },
  })
  const cover = (what: "directory" | "file"): Call[] => [copyMount(MASK, what, false), moveToTarget()]
  const asFile = [open(0, 2), ...cover("file")]
  if (directory === false) return asFile
  const [copy, move] = cover("directory") as [Call, Call]
  const past = { when: "equal", value: 0, skip: asFile.length } as const
  return directory ? [open(0, 2), copy, move] : [open(O_DIRECTORY, 2), copy, { ...move, jump: past }, ...asFile]
}

export const readonlyPath = (step: StepOf<"readonly-path">): Call[] => [
  {
    ...openInRoot(step.path.slice(1), O_PATH),
    tolerate: [ENOENT, ENOTDIR],
    jump: { when: "equal", value: -1, skip: 3 },
  },
  copyMount(TARGET, "", true),
  setAttributes(MOUNT, MOUNT_ATTR_RDONLY, 0, true),
  moveToTarget(),
]

/** A mount of ours that had to be written to before. */
export const readonlyMount = (step: StepOf<"readonly-mount">): Call[] => [
  openAgain(step.path.slice(1), O_PATH, TARGET, symlinksTo(step.path)),
  setAttributes(TARGET, MOUNT_ATTR_RDONLY, 0, false),
]
