/** A process between toybox and the container, which becomes the container's supervisor when the container is made. */
import { at, type Call, out, PROCESS, type Slot, slot, strings } from "../../../ffi/calls.ts"
import { AT_FDCWD, F_SETFD, O_CLOEXEC, O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { CLONE_CLEAR_SIGHAND } from "../../../ffi/constants/sched.ts"
import { SIGCHLD } from "../../../ffi/constants/signal.ts"
import { CLONE_ARGS_SIZE, cloneArgs } from "../../../ffi/structs.ts"
import { closeOtherFds, unblockSignals } from "./process.ts"

/** What the container's parent becomes. */
export interface Supervisor {
  /** Its command line and environment; the program is toybox itself. */
  args: readonly string[]
  env: readonly string[]
  /** The descriptors that it gets, under their numbers; 0, 1 and 2 are /dev/null. */
  fds: readonly number[]
}

const NULL = slot("/dev/null")

function reportPid(made: Slot, report: number): Call[] {
  const pid = out("supervised pid", 8)
  return [
    { name: "load", args: [new Uint8Array(8).fill(0xff), -1], into: { at: at(pid, 0), size: 4 } },
    { name: "load", args: [at(made, 0), -1], into: { at: at(pid, 4), size: 4 } },
    { name: "write", args: [report, pid, 8] },
  ]
}

/**
 * `child` is the container's own list, whose clone puts the pid into `made` and of which the parent goes on behind; null
 * where the child itself reports who the container's process is. A process that was made for this alone has PROCESS 0:
 * what fails in it is reported, and it exits.
 */
export function supervised(child: readonly Call[], made: Slot | null, supervisor: Supervisor, report: number): Call[] {
  const after: Call[] = [
    ...(made ? reportPid(made, report) : []),
    { name: "chdir", args: ["/"] },
    { name: "openat", args: [AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0], into: NULL },
    ...[0, 1, 2].map((fd): Call => ({ name: "dup2", args: [NULL, fd] })),
    // What toybox was given by its caller (a lock, a pipe) must not be held for as long as the container lives.
    ...closeOtherFds([...supervisor.fds, report]),
    ...supervisor.fds.map((fd): Call => ({ name: "fcntl", args: [fd, F_SETFD, 0] })),
    unblockSignals(),
    { name: "execve", args: ["/proc/self/exe", strings(supervisor.args), strings(supervisor.env)] },
  ]
  const rest = [{ name: "setsid", args: [] } satisfies Call, ...child, ...after]
  const first: Call = {
    name: "clone3",
    args: [cloneArgs(CLONE_CLEAR_SIGHAND, SIGCHLD), CLONE_ARGS_SIZE],
    into: PROCESS,
    jump: { when: "not-equal", value: 0, skip: rest.length },
  }
  for (const call of [first, ...rest]) call.step ??= 0
  return [first, ...rest]
}
