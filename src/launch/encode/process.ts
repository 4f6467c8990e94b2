/** The process itself: clone, namespaces, cgroups, descriptors, identity, exec. Steps → calls. */

import { type Call, out, PROCESS, type Slot, slot, strings, struct } from "../../../ffi/calls.ts"
import { _LINUX_CAPABILITY_VERSION_3 } from "../../../ffi/constants/capability.ts"
import {
  E2BIG,
  EACCES,
  EINVAL,
  EIO,
  EISDIR,
  ELIBBAD,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOEXEC,
  ENOMEM,
  ENOTDIR,
  EPERM,
  ETXTBSY,
} from "../../../ffi/constants/errno.ts"
import { AT_EMPTY_PATH, AT_FDCWD, F_SETFD, FD_CLOEXEC, O_CLOEXEC, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { IFF_RUNNING, IFF_UP, SIOCSIFFLAGS, TIOCSCTTY } from "../../../ffi/constants/ioctl.ts"
import {
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
} from "../../../ffi/constants/prctl.ts"
import { RLIMIT_NAMES } from "../../../ffi/constants/resource.ts"
import * as sched from "../../../ffi/constants/sched.ts"
import { SIG_SETMASK, SIGCHLD, SIGKILL, SIGSTOP, SIGSYS } from "../../../ffi/constants/signal.ts"
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from "../../../ffi/constants/socket.ts"
import {
  CLONE_ARGS_SIZE,
  capData,
  capHeader,
  cloneArgs,
  defaultSigaction,
  ifreqFlags,
  rlimit as rlimitStruct,
} from "../../../ffi/structs.ts"
import type { NamespaceType } from "../../oci/runtime.ts"
import type { StepOf } from "../../plan/steps.ts"
import { NULL } from "./null-device.ts"
import { siblingOf } from "./sibling.ts"

const FILE = slot("file")
const SOCKET = slot("socket")
export const ALL_SIGNALS = new Uint8Array(8).fill(0xff)
const NO_SIGNALS = new Uint8Array(8)
export const SIGSET_SIZE = 8

/** The clone(2) flag of each kind of namespace. */
export const NAMESPACE_FLAGS: Record<NamespaceType, number> = {
  mount: sched.CLONE_NEWNS,
  uts: sched.CLONE_NEWUTS,
  ipc: sched.CLONE_NEWIPC,
  pid: sched.CLONE_NEWPID,
  network: sched.CLONE_NEWNET,
  cgroup: sched.CLONE_NEWCGROUP,
  user: sched.CLONE_NEWUSER,
  time: sched.CLONE_NEWTIME,
}

function namespaceFlags(types: readonly NamespaceType[]): number {
  let flags = 0
  for (const type of types) flags += NAMESPACE_FLAGS[type]
  return flags
}

/** The clone, in a list that parent and child walk on from together; the parent, which gets the pid `made`, skips `rest` calls. */
export function clone(step: StepOf<"clone">, rest: number, reportFd: number, made: Slot = PROCESS): Call[] {
  const flags = sched.CLONE_CLEAR_SIGHAND + namespaceFlags(step.namespaces)
  const cgroup = step.cgroupFd === undefined ? 0 : sched.CLONE_INTO_CGROUP
  const clone3 = (flags: number, exitSignal = SIGCHLD): Call => ({
    name: "clone3",
    args: [cloneArgs(flags, exitSignal, flags >= sched.CLONE_INTO_CGROUP ? step.cgroupFd : 0), CLONE_ARGS_SIZE],
  })
  const { helper } = step
  if (!helper) return [{ ...clone3(flags + cgroup), into: made, jump: { when: "not-equal", value: 0, skip: rest } }]
  const calls: Call[] = [
    ...helper.joins.map(({ namespace, fd }): Call => ({ name: "setns", args: [fd, NAMESPACE_FLAGS[namespace]] })),
    ...(helper.timeOffsets === undefined
      ? []
      : [
          { name: "unshare", args: [sched.CLONE_NEWTIME] } satisfies Call,
          ...write({ path: "/proc/self/timens_offsets", value: helper.timeOffsets }),
        ]),
    // It shares the exit signal of the first child (another one is EINVAL), and is in the cgroup by its birth.
    ...siblingOf(clone3(flags + sched.CLONE_PARENT, 0), reportFd, { name: "_exit", args: [0] }),
  ]
  const first = clone3(sched.CLONE_CLEAR_SIGHAND + cgroup)
  return [{ ...first, into: made, jump: { when: "not-equal", value: 0, skip: calls.length + rest } }, ...calls]
}

/** close_range(2) over everything from 3 up but the listed descriptors. */
export function closeOtherFds(keep: readonly number[]): Call[] {
  const calls: Call[] = []
  let from = 3
  for (const fd of [...new Set(keep)].filter((fd) => fd >= 3).sort((a, b) => a - b)) {
    if (fd > from) calls.push({ name: "close_range", args: [from, fd - 1, 0] })
    from = fd + 1
  }
  calls.push({ name: "close_range", args: [from, 0xffffffff, 0] })
  return calls
}

export const prctl = (option: number, ...args: number[]): Call => ({
  name: "prctl",
  args: [option, args[0] ?? 0, args[1] ?? 0, args[2] ?? 0, args[3] ?? 0],
})

/** The parent may have died before the prctl(2): then the other end of the report pipe is closed (POLLERR). */
export const parentDeathSignal = (step: StepOf<"parent-death-signal">, reportFd: number): Call[] => [
  prctl(PR_SET_PDEATHSIG, step.signal),
  {
    name: "ppoll",
    args: [struct([4, reportFd], [2, 0], [2, 0]), 1, struct([8, 0], [8, 0]), null, SIGSET_SIZE],
    fails: { mask: -1, unless: 0 },
  },
]

export const joinCgroup = (step: StepOf<"join-cgroup">): Call[] => [
  { name: "openat", args: [AT_FDCWD, step.path, O_WRONLY | O_CLOEXEC, 0], into: FILE },
  { name: "write", args: [FILE, new Uint8Array([0x30]), 1] },
  { name: "close", args: [FILE] },
]

/** An existing file, of cgroupfs or procfs, written in one write(2). */
export function write(step: { path: string; value: string }): Call[] {
  const bytes = new TextEncoder().encode(step.value)
  return [
    { name: "openat", args: [AT_FDCWD, step.path, O_WRONLY | O_CLOEXEC, 0], into: FILE },
    { name: "write", args: [FILE, bytes, bytes.length] },
    { name: "close", args: [FILE] },
  ]
}

export const unshare = (step: StepOf<"unshare">): Call[] => [
  { name: "unshare", args: [namespaceFlags(step.namespaces)] },
]

export const setns = (step: StepOf<"setns">): Call[] => [
  { name: "setns", args: [step.fd, NAMESPACE_FLAGS[step.namespace]] },
]

export const loopback = (): Call[] => [
  { name: "socket", args: [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0], into: SOCKET },
  { name: "ioctl", args: [SOCKET, SIOCSIFFLAGS, ifreqFlags("lo", IFF_UP | IFF_RUNNING)] },
  { name: "close", args: [SOCKET] },
]

const limit = (value: number) => (Number.isFinite(value) ? value : 0xffffffffffffffffn)

export const rlimit = (step: StepOf<"rlimit">): Call[] => [
  {
    name: "prlimit64",
    args: [0, RLIMIT_NAMES.indexOf(step.type), rlimitStruct(limit(step.soft), limit(step.hard)), null],
  },
]

export function stdio(step: StepOf<"stdio">): Call[] {
  // Each source is above 2 or already in its place, so none is overwritten before it is used. Where toybox was started with
  // one of the three closed, Bun has put /dev/null there, and close-on-exec.
  return step.fds.map(
    (fd, target): Call =>
      fd === target ? { name: "fcntl", args: [fd, F_SETFD, 0] } : { name: "dup2", args: [fd ?? NULL, target] },
  )
}

/** Waits for the parent's word that stage two is there; without it the parent is gone. */
export const awaitGo = (step: StepOf<"await-go">): Call[] => [
  { name: "read", args: [step.fd, out("go", 8), 1], fails: { mask: -1, unless: 1 } },
]

/** Hands over to stage two, with the descriptors that it needs made to survive the exec. */
export const seal = (step: StepOf<"seal">): Call[] => [
  ...step.keep.map((fd): Call => ({ name: "fcntl", args: [fd, F_SETFD, 0] })),
  { name: "execveat", args: [step.memfd, "", strings(["toybox"]), strings([]), AT_EMPTY_PATH] },
]

/** First in stage two: nothing of it may be looked at by ptrace or /proc/PID, and the report must end with the exec. */
export const enterSealed = (keep: readonly number[], passed: readonly number[]): Call[] => [
  prctl(PR_SET_DUMPABLE, 0),
  ...closeOtherFds([...keep, ...passed]),
  ...keep.filter((fd) => fd >= 3).map((fd): Call => ({ name: "fcntl", args: [fd, F_SETFD, FD_CLOEXEC] })),
]

export const session = (step: StepOf<"session">): Call[] => [
  { name: "setsid", args: [], tolerate: [EPERM] },
  ...(step.terminal ? [{ name: "ioctl", args: [0, TIOCSCTTY, 0] } satisfies Call] : []),
]

/** The caller's ignored signals and Bun's must not reach the payload. Bun's own are gone with the exec. */
export function defaultSignals(): Call[] {
  const calls: Call[] = []
  const action = defaultSigaction()
  for (let signal = 1; signal <= SIGSYS; signal++) {
    if (signal === SIGKILL || signal === SIGSTOP) continue
    calls.push({ name: "rt_sigaction", args: [signal, action, null, SIGSET_SIZE] })
  }
  return calls
}

export const unblockSignals = (): Call => ({
  name: "rt_sigprocmask",
  args: [SIG_SETMASK, NO_SIGNALS, null, SIGSET_SIZE],
})
export const blockSignals = (): Call => ({
  name: "rt_sigprocmask",
  args: [SIG_SETMASK, ALL_SIGNALS, null, SIGSET_SIZE],
})

/** chdir(2), then getcwd(2) must begin with "/": a directory outside the root does not (CVE-2024-21626). */
export function chdir(step: StepOf<"chdir">): Call[] {
  const path = out("working directory", 4096)
  return [
    { name: "chdir", args: [step.path] },
    { name: "getcwd", args: [path, 4096] },
    { name: "load", args: [path, 0xff], fails: { mask: 0xff, unless: 0x2f } },
  ]
}

export const boundingSet = (step: StepOf<"bounding-set">): Call[] => step.drop.map((cap) => prctl(PR_CAPBSET_DROP, cap))

export function user(step: StepOf<"user">): Call[] {
  const groups = new Uint8Array(new Uint32Array(step.groups).buffer)
  return [
    ...(step.keepCapabilities ? [prctl(PR_SET_KEEPCAPS, 1)] : []),
    { name: "setgroups", args: [step.groups.length, groups], ...(step.groupsMayStay ? { tolerate: [EPERM] } : {}) },
    { name: "setresgid", args: [step.gid, step.gid, step.gid] },
    { name: "setresuid", args: [step.uid, step.uid, step.uid] },
  ]
}

function toSet(numbers: readonly number[]): bigint {
  let set = 0n
  for (const cap of numbers) set |= 1n << BigInt(cap)
  return set
}

export const capabilities = (step: StepOf<"capabilities">): Call[] => [
  {
    name: "capset",
    args: [
      capHeader(_LINUX_CAPABILITY_VERSION_3),
      capData(toSet(step.effective), toSet(step.permitted), toSet(step.inheritable)),
    ],
  },
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL),
  ...step.ambient.map((cap) => prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap)),
]

export const noNewPrivileges = (): Call[] => [prctl(PR_SET_NO_NEW_PRIVS, 1)]

/** Tries each candidate; what failed is reported, and the parent tells 126 from 127. */
export function exec(step: StepOf<"exec">): Call[] {
  const args = strings(step.args)
  const env = strings(step.env)
  return step.candidates.map((path) => ({
    name: "execve",
    args: [path, args, env],
    tolerate: [
      ENOENT,
      ENOTDIR,
      EACCES,
      ELOOP,
      ENAMETOOLONG,
      ENOEXEC,
      EISDIR,
      ETXTBSY,
      EPERM,
      EINVAL,
      E2BIG,
      ELIBBAD,
      ENOMEM,
      EIO,
    ],
    report: true,
  }))
}
