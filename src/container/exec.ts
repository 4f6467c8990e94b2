/** Another command in a container that runs. */
import { call, callResult } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { close } from "../../ffi/fs.ts"
import { windowSize } from "../../ffi/tty.ts"
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Capabilities, Process, Spec } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { type Entering, enterMoving } from "./enter.ts"
import { recordEvents } from "./events.ts"
import { ownCapabilities } from "./facts.ts"
import { resolveIdentity } from "./identity.ts"
import type { PassedFds } from "./passed-fds.ts"
import { findRunning } from "./running.ts"
import { joinedFilter } from "./seccomp.ts"
import { isAlive, newId } from "./state.ts"
import { openStdio, type Stdio } from "./stdio.ts"
import { supervise } from "./supervise.ts"

export interface ExecOptions {
  args: string[]
  /** NAME=value entries over those of the container. */
  env: readonly string[]
  /** Looked up in the container's own files; the container's user where there is none. */
  user: string | undefined
  workdir: string | undefined
  privileged: boolean
  terminal: boolean
  interactive: boolean
  /** Descriptors of the caller's that the command gets. */
  passedFds: PassedFds | null
  /** What is typed to let go of its terminal, and what is done then; null: one cannot. */
  letGo: { keys: readonly number[]; done: () => void } | null
  /** Called when the command has been executed; with it nothing is read or written. */
  detached: (() => void) | null
}

/** Nothing to read, and nobody who reads. */
const NO_STDIO: Stdio = { facts: [null, null, null], childEnds: [], pumps: [], socket: null }

/** The five sets of the command: the container's, which a user other than root has as a bound only. */
function capabilitiesOf(own: Capabilities, options: ExecOptions, uid: number): Capabilities {
  const sets = (bounding: string[], held: string[]) => ({
    bounding,
    effective: held,
    permitted: held,
    inheritable: [],
    ambient: [],
  })
  if (options.privileged) {
    const all = ownCapabilities()
    return sets(all, uid === 0 ? all : [])
  }
  return options.user === undefined ? own : sets(own.bounding, uid === 0 ? own.bounding : [])
}

/** The process that joins, as config.json would have it. */
function execProcess({ process: own, hostname = "", mounts }: Spec, options: ExecOptions, rootFd: number): Process {
  const { terminal } = options
  const given = [...own.env, ...options.env]
  const identity =
    options.user === undefined
      ? null
      : resolveIdentity(rootFd, {
          user: options.user,
          groupAdd: [],
          // The home directory is that of the user, unless it is named here.
          env: [...own.env.filter((entry) => !entry.startsWith("HOME=")), ...options.env],
          terminal,
          hostname,
          mounts,
        })
  const { umask } = own.user
  const user = identity ? { ...identity.user, ...(umask === undefined ? {} : { umask }) } : own.user
  const size = terminal ? (windowSize(1) ?? windowSize(0)) : null
  const { consoleSize: _, ...kept } = own
  return {
    ...kept,
    args: options.args,
    user,
    env: identity?.env.slice() ?? [...new Map(given.map((entry) => [entry.split("=", 1)[0], entry])).values()],
    cwd: options.workdir ?? own.cwd,
    terminal,
    ...(size ? { consoleSize: size } : {}),
    capabilities: capabilitiesOf(own.capabilities, options, user.uid),
    noNewPrivileges: own.noNewPrivileges && !options.privileged,
  }
}

/** Runs a command in a container by name or id; returns its exit code. `signalFd` is of takeSignals. */
export async function exec(paths: Paths, reference: string, options: ExecOptions, signalFd: number): Promise<number> {
  const {
    id,
    running,
    record: { spec: own, ...head },
  } = await findRunning(paths, reference)
  const what = { execID: newId(), command: options.args.join(" ") }
  const { pid, startTime, cgroup } = running
  const rootFd = callResult("openat", AT_FDCWD, `/proc/${pid}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
  // Looked at once more, now that it is held: the number may have become another's.
  if (rootFd < 0 || !isAlive(running)) throw new ToyboxError(`container ${reference} has ended`)
  const spec = { ...own, process: execProcess(own, options, rootFd) }
  const { seccomp, namespaces } = spec.linux
  if (options.privileged && namespaces.some(({ type }) => type === "network"))
    (await import("./share-network.ts")).letForgerIn(paths, id)
  const filter = seccomp && !options.privileged ? await joinedFilter(seccomp, own.process) : undefined
  const { terminal, interactive, detached, letGo } = options
  const stdio = detached ? NO_STDIO : openStdio({ terminal, interactive })
  const passedFds = options.passedFds?.fds ?? []
  let entered: Entering
  try {
    const isPaused = async () => (await import("./standstill.ts")).isLeftPaused(paths, id, running)
    entered = await enterMoving(
      { pid, startTime, cgroup, spec, stdio: stdio.facts, passedFds, seccomp: filter },
      isPaused,
    )
  } catch (error) {
    throw (await import("../launch/report.ts")).explainFailure(error)
  } finally {
    for (const fd of stdio.childEnds) close(fd)
  }
  const { one, two, ...entering } = entered
  const ending = supervise({
    ...entering,
    signalFd,
    traced: false,
    pumps: stdio.pumps,
    terminal:
      stdio.socket === null
        ? null
        : {
            socket: stdio.socket,
            input: interactive,
            detachKeys: letGo?.keys ?? [],
            detached: letGo?.done ?? (() => {}),
          },
    isInit: false,
    isExecAttempt: (index) => two.calls[index - one.calls.length]?.name === "execve",
    onExec: () => {
      recordEvents(paths, head, ["exec_create", what], ["exec_start", what])
      // Who stays as long as the command keeps no directory of the caller's from being unmounted.
      if (detached || letGo) call("chdir", "/")
      detached?.()
    },
    notice,
  })
  stdio.ended?.()
  options.passedFds?.ended()
  if (!ending.executed) throw (await import("./launch-error.ts")).launchError(one, two, ending.reports, rootFd)
  const signal = ending.escalated ?? ending.status.signal
  const exitCode = signal === undefined ? (ending.status.code ?? 0) : 128 + signal
  recordEvents(paths, head, ["exec_die", { execID: what.execID, exitCode: String(exitCode) }])
  ending.passRest?.()
  return exitCode
}
