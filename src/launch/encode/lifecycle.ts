/** What a container needs that is not started at once, or that is entered later: steps → calls. */
import { type Call, out, slot } from "../../../ffi/calls.ts"
import {
  EACCES,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  EPERM,
  EROFS,
  ETXTBSY,
} from "../../../ffi/constants/errno.ts"
import {
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDWR,
  O_WRONLY,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts"
import { TIOCGPTPEER, TIOCSPTLCK, TIOCSWINSZ } from "../../../ffi/constants/ioctl.ts"
import { CLONE_PARENT } from "../../../ffi/constants/sched.ts"
import { OPEN_HOW_SIZE, openHow, winsize } from "../../../ffi/structs.ts"
import type { StepOf } from "../../plan/steps.ts"
import { sendDescriptor } from "./mounts.ts"
import { NAMESPACE_FLAGS } from "./process.ts"
import { siblingOf } from "./sibling.ts"

/** Reported in place of a call index by a child that waits: the errno is the moment. */
export const MOMENT_REPORT = 0xfffffffe

const record = (index: number, value: number) => new Uint8Array(new Uint32Array([index, value]).buffer)

/** Tells the parent of a moment. */
export const tell = (step: { reportFd: number; moment: number }): Call[] => [
  { name: "write", args: [step.reportFd, record(MOMENT_REPORT, step.moment), 8] },
]

/** The moment is written before the wait: the parent answers to it. */
export const sync = (step: StepOf<"sync">): Call[] => [
  ...tell(step),
  { name: "read", args: [step.fd, out("go", 8), 1], fails: { mask: -1, unless: 1 } },
]

const X_OK = 1
const F_OK = 0

/** Each candidate that cannot be executed is reported; if none can, that was all: access(2). */
export function checkCommand({ candidates }: StepOf<"check-command">): Call[] {
  const checks = candidates.flatMap((path, i): Call[] => [
    {
      name: "faccessat",
      args: [AT_FDCWD, path, X_OK],
      tolerate: [ENOENT, ENOTDIR, EACCES, EISDIR, ELOOP, ENAMETOOLONG, EPERM, EROFS, ETXTBSY],
      report: true,
      jump: { when: "equal", value: -1, skip: 2 },
    },
    // A directory may be "executed", too, but it alone has something in it.
    {
      name: "faccessat",
      args: [AT_FDCWD, `${path}/.`, F_OK],
      tolerate: [ENOTDIR, ENOENT, EACCES, ENAMETOOLONG],
      jump: { when: "equal", value: -1, skip: (candidates.length - i - 1) * 3 + 2 },
    },
    // Fails for directories, and so reports them.
    { name: "openat", args: [AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0], tolerate: [EISDIR], report: true },
  ])
  return [...checks, { name: "exit_group", args: [127] }]
}

/** All at once, by pidfd: setns(2), since Linux 5.8. Of a pid namespace only children are members. */
export function enterNamespaces(step: StepOf<"enter-namespaces">): Call[] {
  let flags = 0
  for (const type of step.namespaces) flags += NAMESPACE_FLAGS[type]
  return flags === 0 ? [] : [{ name: "setns", args: [step.pidFd, flags] }]
}

/** Goes on in a sibling, which is a member of the pid namespace entered before; its pid is reported: clone(2). */
export function enterPidNamespace(step: StepOf<"enter-pid-namespace">): Call[] {
  const sibling: Call = { name: "clone", args: [CLONE_PARENT, 0, 0, 0, 0] }
  return siblingOf(sibling, step.reportFd, { name: "exit_group", args: [0] })
}

const MASTER = slot("terminal master")
const SLAVE = slot("terminal")

/** A terminal of the devpts that the container has; its slave by TIOCGPTPEER, never by a path: ioctl_tty(2). */
export function newTerminal(step: StepOf<"new-terminal">): Call[] {
  const how = openHow(O_RDWR | O_NOCTTY | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
  return [
    { name: "openat2", args: [AT_FDCWD, "/dev/pts/ptmx", how, OPEN_HOW_SIZE], into: MASTER },
    { name: "ioctl", args: [MASTER, TIOCSPTLCK, new Uint8Array(4)] },
    { name: "ioctl", args: [MASTER, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], into: SLAVE },
    // Where the caller has closed its own, both are among the three: dup3(2) refuses a descriptor that is there already.
    { name: "fcntl", args: [SLAVE, F_DUPFD_CLOEXEC, 3], into: SLAVE },
    { name: "ioctl", args: [SLAVE, TIOCSWINSZ, winsize(step.height, step.width)] },
    ...sendDescriptor(MASTER, step.socketFd),
    ...[0, 1, 2].map((fd): Call => ({ name: "dup3", args: [SLAVE, fd, 0] })),
  ]
}
