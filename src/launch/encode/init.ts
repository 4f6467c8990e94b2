/** The init of --init: a loop of calls. Steps → calls. */
import { at, type Call, out, slot } from "../../../ffi/calls.ts"
import { ECHILD, EINTR, ESRCH } from "../../../ffi/constants/errno.ts"
import { PR_SET_NAME } from "../../../ffi/constants/prctl.ts"
import { SIGCHLD } from "../../../ffi/constants/signal.ts"
import { WNOHANG } from "../../../ffi/constants/wait.ts"
import type { StepOf } from "../../plan/steps.ts"
import { ALL_SIGNALS, closeOtherFds, SIGSET_SIZE, session } from "./process.ts"

/**
 * An init of calls: makes the command's process, then forwards every signal to it and reaps whatever ends, until it
 * ends itself; exits with its code, or 128 + the signal.
 */
export function init(step: StepOf<"init">): Call[] {
  const child = slot("command pid")
  const signal = slot("signal")
  const reaped = slot("reaped pid")
  const status = out("wait status", 8)
  const code = slot("exit code")
  const always = { when: "not-equal", value: -4096 } as const
  const loop: Call[] = [
    // What ps(1) shows, in the place of the memfd's name.
    { name: "prctl", args: [PR_SET_NAME, "toybox-init", 0, 0, 0] },
    ...closeOtherFds([]),
    /* wait */ {
      name: "rt_sigtimedwait",
      args: [ALL_SIGNALS, null, null, SIGSET_SIZE],
      into: signal,
      tolerate: [EINTR],
      jump: { when: "equal", value: -1, skip: -1 },
    },
    { name: "load", args: [at(signal, 0), -1], jump: { when: "equal", value: SIGCHLD, skip: 1 } },
    { name: "kill", args: [child, signal], tolerate: [ESRCH], jump: { ...always, skip: -3 } },
    /* reap */ {
      name: "wait4",
      args: [-1, status, WNOHANG, null],
      into: reaped,
      tolerate: [ECHILD, EINTR],
      jump: { when: "equal", value: 0, skip: -4 },
    },
    { name: "load", args: [at(reaped, 0), -1], jump: { when: "equal", value: -1, skip: -5 } },
    { name: "load", args: [at(reaped, 0), -1, 0, child], jump: { when: "not-equal", value: 0, skip: -3 } },
    { name: "load", args: [status, 0x7f], jump: { when: "not-equal", value: 0, skip: 2 } },
    { name: "load", args: [at(status, 1), 0xff], into: code },
    { name: "exit_group", args: [code] },
    { name: "load", args: [status, 0x7f, 0x80], into: code },
    { name: "exit_group", args: [code] },
  ]
  return [
    { name: "clone", args: [SIGCHLD, 0, 0, 0, 0], into: child, jump: { when: "equal", value: 0, skip: loop.length } },
    ...loop,
    ...session({ kind: "session", terminal: step.terminal }),
  ]
}
