/** A failed call of a list → an error that says what was being done, the call, errno, and a remedy where one is known. */
import type { Call } from "../../ffi/calls.ts"
import { SyscallError } from "../../ffi/errno.ts"
import { formatArguments } from "../../ffi/format.ts"
import { EXIT_CANNOT_INVOKE, EXIT_NOT_FOUND, EXIT_TOYBOX, ToyboxError } from "../errors.ts"
import { sentence } from "../plan/sentence.ts"
import type { Step, StepOf } from "../plan/steps.ts"
import { ListFailure } from "./index.ts"

interface Hint {
  kind: Step["kind"]
  call?: string
  errno: string
  hint: string
}

/** New namespaces are made by the clone, and by the child itself. */
const NAMESPACE_HINTS = (["clone", "unshare"] as const).flatMap((kind): Hint[] => [
  {
    kind,
    errno: "EPERM",
    hint: "toybox needs root (or CAP_SYS_ADMIN); a seccomp filter around it may refuse namespaces",
  },
  { kind, errno: "ENOSPC", hint: "a limit on namespaces is reached: see /proc/sys/user/max_*_namespaces" },
  { kind, errno: "EINVAL", hint: "this kernel lacks a namespace asked for" },
])

/** What the kernel overloads: the errno alone misleads. */
const HINTS: readonly Hint[] = [
  {
    kind: "clone",
    call: "setns",
    errno: "EINVAL",
    hint: "toybox is in that user namespace already, or that pid namespace is not below its own",
  },
  ...NAMESPACE_HINTS,
  {
    kind: "clone",
    errno: "EAGAIN",
    hint: "a limit on processes is reached: see ulimit -u and the pids limit around toybox",
  },
  {
    kind: "enter-pid-namespace",
    errno: "EAGAIN",
    hint: "the container has as many processes as it may: toybox update --pids raises that",
  },
  {
    kind: "clone",
    call: "write",
    errno: "ERANGE",
    hint: "linux.timeOffsets: a clock must not be before 0, nor beyond 146 years",
  },
  { kind: "clone", errno: "EBUSY", hint: "the parent cgroup has a domain controller and processes of its own" },
  {
    kind: "join-cgroup",
    call: "write",
    errno: "EINVAL",
    hint: "toybox runs with a realtime policy (chrt), for which that cgroup has no time: chrt -o 0 before it, or --cpu-rt-runtime",
  },
  {
    kind: "mount",
    call: "openat2",
    errno: "ELOOP",
    hint: "the root has a symbolic link there, which toybox does not follow for the kernel's own file systems",
  },
  { kind: "mount", call: "move_mount", errno: "ENOTDIR", hint: "the root has a file where a directory is needed" },
  { kind: "mount", errno: "ENOSPC", hint: "the limit on mounts is reached: /proc/sys/fs/mount-max" },
  { kind: "mount", errno: "ENODEV", hint: "this kernel lacks the file system" },
  { kind: "bind", call: "openat2", errno: "ENOENT", hint: "the destination is a symbolic link that leads nowhere" },
  { kind: "bind", call: "openat2", errno: "ENOTDIR", hint: "a directory cannot be mounted on a file, nor below it" },
  // Not in the words of EISDIR, which docker takes for a command that cannot be executed.
  { kind: "bind", call: "move_mount", errno: "EINVAL", hint: "a file can be mounted on a file only" },
  { kind: "bind", call: "move_mount", errno: "ENOTDIR", hint: "a file can be mounted on a file only" },
  { kind: "bind", errno: "EROFS", hint: "the destination does not exist and cannot be made on a read-only mount" },
  { kind: "mount", errno: "EROFS", hint: "the destination does not exist and cannot be made on a read-only mount" },
  { kind: "console", call: "openat", errno: "ENOENT", hint: "a terminal needs a devpts on /dev/pts" },
  { kind: "console", call: "openat", errno: "EBADF", hint: "a terminal needs a devpts on /dev/pts" },
  { kind: "sysctl", errno: "ENOENT", hint: "this kernel has no such setting in the container's namespaces" },
  { kind: "sysctl", errno: "EINVAL", hint: "the kernel does not take this value" },
  { kind: "rlimit", errno: "EPERM", hint: "a hard limit can be raised with CAP_SYS_RESOURCE only" },
  { kind: "chdir", errno: "ENOENT", hint: "the directory does not exist in the container" },
  { kind: "chdir", errno: "ENOTDIR", hint: "it is not a directory" },
  { kind: "mkdir-in-root", errno: "ENOTDIR", hint: "it, or what is above it, is not a directory in the container" },
  {
    kind: "capabilities",
    errno: "EPERM",
    hint: "toybox itself lacks a capability that was asked for: see CapPrm in /proc/self/status",
  },
  { kind: "device", errno: "EPERM", hint: "making device nodes needs CAP_MKNOD and a device cgroup that allows it" },
  { kind: "seccomp", call: "seccomp", errno: "EINVAL", hint: "this kernel has no seccomp filters, or lacks a flag" },
  {
    kind: "seccomp",
    call: "seccomp",
    errno: "EBUSY",
    hint: "another filter around toybox has a notify listener already",
  },
  { kind: "session-keyring", errno: "EDQUOT", hint: "a limit on keys is reached: see /proc/sys/kernel/keys" },
  { kind: "seal", errno: "EACCES", hint: "executable memfds are forbidden here: see /proc/sys/vm/memfd_noexec" },
]

/** A ListFailure in words; any other error as it is. */
export const explainFailure = (error: unknown): unknown =>
  error instanceof ListFailure ? stepError(error.steps, error.calls, error.index, error.errno) : error

/** The error of call `index` of a list. */
export function stepError(steps: readonly Step[], calls: readonly Call[], index: number, errno: number): ToyboxError {
  const call = calls[index]
  const step = call?.step === undefined ? undefined : steps[call.step]
  if (!call) return new ToyboxError("the container's process ended before its command was run")
  if (step?.kind === "chdir" && call.name === "load") {
    return new ToyboxError(`cannot enter the working directory ${step.path}: it is outside the container's root`)
  }
  if ((step?.kind === "mount" || step?.kind === "bind") && call.name === "load") {
    return new ToyboxError(`cannot ${sentence(step)}: links of the root lead from there to its /proc`, {
      hint: "nothing can be mounted on /proc, which is the container's own, and its kernel's",
    })
  }
  if (step?.kind === "device" && call.name === "load") {
    return new ToyboxError(`cannot ${sentence(step)}: there is another file, or device, of this name`)
  }
  if (step?.kind === "null-device" && call.name === "load") {
    return new ToyboxError("the container's /dev/null is another file, or device", {
      hint: "leave it out of its devices and mounts: every container has one",
    })
  }
  const cause = new SyscallError(call.name, errno, formatArguments(call))
  // mount_setattr(2), since Linux 5.12, is the youngest call that every container needs.
  if (cause.errno === "ENOSYS" && step?.kind !== "exec") {
    return new ToyboxError(
      "this kernel is too old, or a seccomp filter around toybox is too strict: it needs Linux 5.12 or newer",
      { cause },
    )
  }
  const hint = HINTS.find(
    (row) => row.kind === step?.kind && (row.call ?? call.name) === call.name && row.errno === cause.errno,
  )?.hint
  return new ToyboxError(`cannot ${step ? sentence(step) : "prepare the process"}`, {
    cause,
    hint,
    exitCode: EXIT_TOYBOX,
  })
}

/** What of a failed exec decides: a file that is there but cannot be run wins over those that are not. */
const ABSENT = new Set(["ENOENT", "ENOTDIR"])

/** The error of an exec of which every candidate failed: 126 or 127. `failures` are those reported, with their calls. */
export function execError(
  step: StepOf<"exec">,
  failures: readonly { path: string; errno: string }[],
  exists: (path: string) => boolean,
): ToyboxError {
  const [command = ""] = step.args
  const decisive = failures.find(({ errno }) => !ABSENT.has(errno))
  if (decisive) {
    const reason: Record<string, string> = {
      EACCES: "permission denied",
      ENOEXEC: "exec format error",
      ELIBBAD: "exec format error",
      E2BIG: "the arguments and the environment are too long",
      ETXTBSY: "the file is being written",
    }
    const hints: Record<string, string> = {
      EACCES: "it is no executable file: chmod +x it, or it is a directory, or its mount is noexec",
      ENOEXEC: "the file is for another processor, or a script without #! line",
    }
    return new ToyboxError(`cannot run ${decisive.path}: ${reason[decisive.errno] ?? decisive.errno}`, {
      exitCode: EXIT_CANNOT_INVOKE,
      hint: hints[decisive.errno],
    })
  }
  const there = failures.find(({ path }) => exists(path))
  if (there) {
    return new ToyboxError(
      `cannot run ${there.path}: the file is there, but the interpreter or loader it names is not`,
      {
        exitCode: EXIT_NOT_FOUND,
        hint: "look at its #! line, or whether it is linked to a libc that the container lacks",
      },
    )
  }
  const path = step.env.find((entry) => entry.startsWith("PATH="))?.slice(5)
  return new ToyboxError(`${command}: command not found`, {
    exitCode: EXIT_NOT_FOUND,
    hint: command.includes("/") ? undefined : `looked in ${path ?? "no PATH at all"}`,
  })
}
