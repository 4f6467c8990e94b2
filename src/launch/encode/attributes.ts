/** Attributes of the process that few containers ask for: steps → calls. */
import { type Call, out, slot, struct } from "../../../ffi/calls.ts"
import { EPERM } from "../../../ffi/constants/errno.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "../../../ffi/constants/fcntl.ts"
import { PROC_SUPER_MAGIC } from "../../../ffi/constants/magic.ts"
import { PER_LINUX, PER_LINUX32 } from "../../../ffi/constants/personality.ts"
import { STATX_BASIC_STATS } from "../../../ffi/constants/stat.ts"
import { OPEN_HOW_SIZE, openHow } from "../../../ffi/structs.ts"
import { IO_PRIORITY_CLASSES, SCHEDULER_FLAGS, SCHEDULER_POLICIES } from "../../oci/runtime.ts"
import type { StepOf } from "../../plan/steps.ts"

const SCHED_ATTR_SIZE = 48

/** sched_setattr(2); struct sched_attr in its first form. */
export function scheduler({ scheduler }: StepOf<"scheduler">): Call[] {
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler
  const bits = flags.reduce((set, flag) => set | (1 << SCHEDULER_FLAGS.indexOf(flag)), 0)
  const attr = struct(
    [4, SCHED_ATTR_SIZE],
    [4, SCHEDULER_POLICIES.indexOf(policy)],
    [8, bits],
    [4, nice],
    [4, priority],
    [8, runtime],
    [8, deadline],
    [8, period],
  )
  return [{ name: "sched_setattr", args: [0, attr, 0] }]
}

const IOPRIO_WHO_PROCESS = 1
const IOPRIO_CLASS_SHIFT = 13

/** ioprio_set(2): the class is above the priority, and counts from 1. */
export const ioPriority = (step: StepOf<"io-priority">): Call[] => [
  {
    name: "ioprio_set",
    args: [
      IOPRIO_WHO_PROCESS,
      0,
      ((IO_PRIORITY_CLASSES.indexOf(step.class) + 1) << IOPRIO_CLASS_SHIFT) | step.priority,
    ],
  },
]

/** personality(2). */
export const personality = (step: StepOf<"personality">): Call[] => [
  { name: "personality", args: [step.domain === "LINUX32" ? PER_LINUX32 : PER_LINUX] },
]

/** sched_setaffinity(2). */
export function cpuAffinity({ cpus }: StepOf<"cpu-affinity">): Call[] {
  const mask = new Uint8Array(8 * (Math.floor(Math.max(...cpus) / 64) + 1))
  for (const cpu of cpus) mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7))
  return [{ name: "sched_setaffinity", args: [0, mask.length, mask] }]
}

const PROC = slot("procfs")
const FILE = slot("attribute")
// The root directory of every procfs: PROC_ROOT_INO of linux/proc_ns.h.
const PROC_ROOT_INODE = 1
const STX_INO = 32

/**
 * A label is written to the procfs of the container, which its root may have replaced: /proc must be a procfs, whole, and
 * nothing may be mounted on the way from there (CVE-2019-16884, CVE-2023-27561, CVE-2025-52881).
 */
export function label(step: StepOf<"label">): Call[] {
  const bytes = new TextEncoder().encode(step.value)
  const directory = openHow(O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
  const file = openHow(O_WRONLY | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS)
  const system = out("file system", 256)
  const found = out("file", 256)
  return [
    { name: "openat2", args: [AT_FDCWD, "/proc", directory, OPEN_HOW_SIZE], into: PROC },
    { name: "fstatfs", args: [PROC, system] },
    { name: "load", args: [system, 0xffffffff], fails: { mask: 0xffffffff, unless: PROC_SUPER_MAGIC } },
    { name: "statx", args: [PROC, "", AT_EMPTY_PATH, STATX_BASIC_STATS, found] },
    {
      name: "load",
      args: [{ kind: "at", out: found, offset: STX_INO }, -1],
      fails: { mask: -1, unless: PROC_ROOT_INODE },
    },
    { name: "openat2", args: [PROC, `thread-self/attr/${step.file}`, file, OPEN_HOW_SIZE], into: FILE },
    { name: "write", args: [FILE, bytes, bytes.length] },
    { name: "close", args: [FILE] },
    { name: "close", args: [PROC] },
  ]
}

/** Without the supplementary groups of toybox; a namespace may refuse to change them: user_namespaces(7). */
export const becomeRoot = (): Call[] => [
  { name: "setgroups", args: [0, null], tolerate: [EPERM] },
  { name: "setresgid", args: [0, 0, 0] },
  { name: "setresuid", args: [0, 0, 0] },
]
