/** The one exhaustive switch from steps to calls. */

import type { Call } from "../../../ffi/calls.ts"
import { slot } from "../../../ffi/calls.ts"
import { EEXIST } from "../../../ffi/constants/errno.ts"
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_TRUNC,
  O_WRONLY,
} from "../../../ffi/constants/fcntl.ts"
import type { Step, StepOf } from "../../plan/steps.ts"
import * as attributes from "./attributes.ts"
import * as devices from "./devices.ts"
import * as hidden from "./hidden.ts"
import { init } from "./init.ts"
import * as lifecycle from "./lifecycle.ts"
import * as mounts from "./mounts.ts"
import { nullDevice } from "./null-device.ts"
import * as process from "./process.ts"
import * as root from "./root.ts"
import { seccomp, sessionKeyring } from "./seccomp.ts"
import { type Supervisor, supervised } from "./supervisor.ts"

/** Descriptors that the lists name. */
interface Descriptors {
  report: number
  /** Numbers that are free, as many as an overlay has directories. */
  free: readonly number[]
}

const FILE = slot("file")

function mkdir({ path, mode, owner }: StepOf<"mkdir">): Call[] {
  const make: Call = { name: "mkdirat", args: [AT_FDCWD, path, mode], tolerate: [EEXIST] }
  if (!owner) return [make]
  return [
    make,
    // chown(2) clears the bits that chmod(2) sets.
    { name: "fchownat", args: [AT_FDCWD, path, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW] },
    { name: "fchmodat", args: [AT_FDCWD, path, mode, 0] },
  ]
}

function createFile({ path, content, mode }: StepOf<"create-file">): Call[] {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
  return [
    { name: "openat", args: [AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode], into: FILE },
    { name: "write", args: [FILE, bytes, bytes.length] },
    { name: "close", args: [FILE] },
  ]
}

function encodeStep(step: Step, fds: Descriptors): Call[] {
  switch (step.kind) {
    case "mkdir":
      return mkdir(step)
    case "create-file":
      return createFile(step)
    case "overlay":
      return root.overlay(step, fds.free)
    case "bind-root":
      return root.bindRoot(step)
    case "clone":
      // Needs the length of what follows; see encodeChild.
      return []
    case "close-other-fds":
      return process.closeOtherFds(step.keep)
    case "parent-death-signal":
      return process.parentDeathSignal(step, fds.report)
    case "join-cgroup":
      return process.joinCgroup(step)
    case "unshare":
      return process.unshare(step)
    case "setns":
      return process.setns(step)
    case "propagation":
      return root.privateMounts(step)
    case "root-propagation":
      return root.propagation(step)
    case "attach-root":
      return root.attachRoot(step)
    case "mount":
      return mounts.mount(step)
    case "take-source":
      return mounts.takeSource(step)
    case "bind":
      return mounts.bind(step)
    case "remount":
      return mounts.remount(step)
    case "device":
      return devices.device(step)
    case "device-nodes":
      return devices.deviceNodes(step)
    case "given-dev":
      return devices.givenDev()
    case "symlink":
      return devices.symlink(step)
    case "touch":
      return devices.touch(step)
    case "console":
      return mounts.terminal(step)
    case "mask-source":
      return hidden.maskSource(step)
    case "mask":
      return hidden.mask(step)
    case "readonly-path":
      return hidden.readonlyPath(step)
    case "readonly-mount":
      return hidden.readonlyMount(step)
    case "sysctl":
      return mounts.sysctl(step)
    case "hostname":
      return [{ name: "sethostname", args: [step.name, new TextEncoder().encode(step.name).length] }]
    case "domainname":
      return [{ name: "setdomainname", args: [step.name, new TextEncoder().encode(step.name).length] }]
    case "loopback":
      return process.loopback()
    case "mkdir-in-root":
      return mounts.mkdirInRoot(step)
    case "readonly-root":
      return root.readonlyRoot()
    case "pivot-root":
      return root.pivotRoot(step)
    case "move-root":
      return root.moveRoot(step)
    case "enter-root":
      return root.enterRoot(step)
    case "rlimit":
      return process.rlimit(step)
    case "oom-score":
      return process.write({ path: "/proc/self/oom_score_adj", value: String(step.value) })
    case "null-device":
      return nullDevice(step)
    case "stdio":
      return process.stdio(step)
    case "await-go":
      return process.awaitGo(step)
    case "own-terminal":
      return [{ name: "fchown", args: [0, step.uid, -1] }]
    case "seal":
      return process.seal(step)
    case "session":
      return process.session(step)
    case "default-signals":
      return process.defaultSignals()
    case "chdir":
      return process.chdir(step)
    case "bounding-set":
      return process.boundingSet(step)
    case "user":
      return process.user(step)
    case "capabilities":
      return process.capabilities(step)
    case "no-new-privileges":
      return process.noNewPrivileges()
    case "umask":
      return [{ name: "umask", args: [step.mask] }]
    case "become-root":
      return attributes.becomeRoot()
    case "scheduler":
      return attributes.scheduler(step)
    case "io-priority":
      return attributes.ioPriority(step)
    case "personality":
      return attributes.personality(step)
    case "label":
      return attributes.label(step)
    case "cpu-affinity":
      return attributes.cpuAffinity(step)
    case "init":
      return init(step)
    case "tell":
      return lifecycle.tell(step)
    case "sync":
      return lifecycle.sync(step)
    case "check-command":
      return lifecycle.checkCommand(step)
    case "enter-namespaces":
      return lifecycle.enterNamespaces(step)
    case "enter-pid-namespace":
      return lifecycle.enterPidNamespace(step)
    case "new-terminal":
      return lifecycle.newTerminal(step)
    case "session-keyring":
      return sessionKeyring()
    case "seccomp":
      return seccomp(step)
    case "unblock-signals":
      return [process.unblockSignals()]
    case "exec":
      return process.exec(step)
    default:
      return step satisfies never
  }
}

/** Calls of a list of steps, each with the index of its step, counted from `first`. */
export function encodeSteps(steps: readonly Step[], fds: Descriptors, first = 0): Call[] {
  const calls: Call[] = []
  for (let index = 0; index < steps.length; index++) {
    for (const call of encodeStep(steps[index] as Step, fds)) {
      call.step = first + index
      calls.push(call)
    }
  }
  return calls
}

// The child opens few files at a time, and the lowest free numbers go first.
const ROOM = 16

const SUPERVISED = slot("supervised process")

/**
 * The child's list: the clone, then what only the child goes through. Failures are reported over `report`. With a `supervisor`
 * the child is one's of its own instead of this process's. `further`: the address of a list that the child goes on with.
 */
export function encodeChild(steps: readonly Step[], report: number, supervisor?: Supervisor, further?: number): Call[] {
  let free = ROOM
  for (const step of steps)
    if (step.kind === "close-other-fds") for (const fd of [report, ...step.keep]) if (fd + ROOM > free) free = fd + ROOM
  const rest = [
    process.blockSignals(),
    ...encodeSteps(steps, { report, free: root.OVERLAY_DIRECTORIES.map((_, i) => free + i) }),
  ]
  if (further !== undefined) rest.push({ name: "walk", args: [further], fails: "never", step: steps.length - 1 })
  const [first] = steps
  if (first?.kind !== "clone") throw new Error("a child's plan begins with its clone")
  const clone = process.clone(first, rest.length, report, supervisor ? SUPERVISED : undefined)
  for (const call of clone) call.step = 0
  const child = [...clone, ...rest]
  return supervisor ? supervised(child, first.helper ? null : SUPERVISED, supervisor, report) : child
}

/** What a child goes on with: steps that are counted from `first`. None of them names a free descriptor. */
export const encodeFurther = (steps: readonly Step[], report: number, first: number): Call[] =>
  encodeSteps(steps, { report, free: [] }, first)

/** The list of stage two. Of the descriptors that it keeps the command gets those `passed`. */
export function encodeSealed(
  steps: readonly Step[],
  report: number,
  keep: readonly number[],
  passed: readonly number[] = [],
): Call[] {
  return [...process.enterSealed(keep, passed), ...encodeSteps(steps, { report, free: [] })]
}
