/** From a prepared container to the end of its command: launch, cgroup, records, supervision. */
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { __WALL } from "../../ffi/constants/wait.ts"
import { close, createExclusive, writeAll } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { executableMemfd } from "../../ffi/sealed.ts"
import { kill, waitChild } from "../../ffi/signal.ts"
import { type CgroupManager, type PreparedCgroup, prepareCgroup } from "../cgroup/manager.ts"
import { ToyboxError } from "../errors.ts"
import { type Encoded, launch, seal } from "../launch/index.ts"
import { notice } from "../log.ts"
import type { Spec } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { sealedSteps } from "../plan/identity.ts"
import { childSteps } from "../plan/index.ts"
import type { FileLock } from "../state-file.ts"
import { unpivotableMounts } from "./facts.ts"
import { gatherFacts, identify, releaseFacts } from "./prepare.ts"
import { recover } from "./recover.ts"
import type { ContainerRequest } from "./request.ts"
import { copiedRoot, overlayRefusal, type Root } from "./root.ts"
import { connectListener, seccompFacts } from "./seccomp.ts"
import { type RunningRecord, startTime, updateRunning, writeRecord } from "./state.ts"
import { openStdio } from "./stdio.ts"
import { type Ending, supervise } from "./supervise.ts"

/** A container while toybox has it in hand; what is set has to be undone. */
export interface Live {
  id: string
  directory: string
  lock: FileLock
  record: RunningRecord
  /** The record is written: `ps -a` would show it. */
  recorded: boolean
  root: Root | null
  manager: CgroupManager | null
  /** Every process of it has ended. */
  ended: boolean
}

function record(request: ContainerRequest, paths: Paths, live: Live, spec: Spec): void {
  const { id, record } = live
  writeRecord(paths, {
    id,
    name: record.name,
    created: record.started,
    image: request.image,
    lower: request.lower,
    ...(request.below.length === 0 ? {} : { below: request.below }),
    command: spec.process.args,
    autoRemove: request.autoRemove,
    stopSignal: request.stopSignal,
    labels: { ...request.process.labels },
    spec,
  })
  if (request.cidfile !== undefined && !live.recorded) writeIdFile(request.cidfile, id)
  live.recorded = true
}

function writeIdFile(path: string, id: string): void {
  const fd = createExclusive(path, 0o644)
  if (fd === null)
    throw new ToyboxError(`--cidfile: ${path} exists already`, { hint: "remove it, or name another file" })
  writeAll(fd, new TextEncoder().encode(id))
  close(fd)
}

function cgroupOf(request: ContainerRequest, spec: Spec): PreparedCgroup {
  const { options, defaults } = request.requested
  const { cgroupsPath: path, resources } = spec.linux
  return prepareCgroup(request.cgroups, { path, resources, options, defaults })
}

/** Makes the cgroup, unless a first attempt to start has. */
function makeCgroup(request: ContainerRequest, cgroup: PreparedCgroup, live: Live): CgroupManager {
  if (live.manager) return live.manager
  const { manager, notices } = cgroup.create({
    announce(handle) {
      live.record.cgroup = handle
      updateRunning(live.lock, live.record)
    },
  })
  live.manager = manager
  if (!request.quiet) for (const text of notices) notice(text)
  return manager
}

/**
 * Launches the command and stays with it until it has ended. Where overlayfs is refused it is started once more, on a copy of
 * the root. Throws where the command was never run.
 */
export async function start(
  request: ContainerRequest,
  paths: Paths,
  live: Live,
  root: Root,
  spec: Spec,
  signalFd: number,
): Promise<{ ending: Ending; manager: CgroupManager }> {
  const stdio = openStdio({ terminal: request.process.terminal, interactive: request.interactive })
  const [reportFd, reportEnd] = pipe()
  const [goEnd, goFd] = pipe()
  const memfd = executableMemfd()
  const cgroup = cgroupOf(request, spec)
  const { join, handle } = cgroup
  // A cgroup that the child is made in has to be there; one that it enters by itself can wait until it is under way.
  if (join.into !== null) makeCgroup(request, cgroup, live)
  const cgroupFd = join.into ? call("openat", AT_FDCWD, join.into, O_PATH | O_DIRECTORY | O_CLOEXEC, 0) : undefined
  const traceFd = request.trace ? executableMemfd() : undefined
  const held = {
    stdio: stdio.facts,
    reportFd: reportEnd,
    traceFd,
    memfd,
    goFd: goEnd,
    join,
    controllers: Object.keys(handle.dirs),
    cgroupFd,
    rootSteps: root.steps,
    mountedRoot: root.steps.length === 0 ? root.fd : undefined,
    listenerFd: connectListener(request),
  }
  const facts = gatherFacts(request, spec, live.directory, held, unpivotableMounts(request.mountinfo))
  const one = launch(childSteps(spec, facts), facts, root.steps.length === 0 ? root.fd : undefined)
  const { pid } = one
  const go = () => call("write", goFd, new Uint8Array(1), 1)
  let manager: CgroupManager
  let two: Encoded
  try {
    // The child has two milliseconds of work before it; meanwhile its cgroup and its command are prepared.
    manager = makeCgroup(request, cgroup, live)
    if (join.into === null) go()
    const { compat } = identify(request, live.id, spec, root.fd)
    const filter = await seccompFacts(request, spec, { id: live.id, pid, compat, listenerFd: held.listenerFd })
    two = seal(sealedSteps(spec, { ...facts, ...filter }), one.calls.length, facts)
  } catch (error) {
    kill(pid, SIGKILL)
    waitChild(pid, __WALL)
    throw error
  }
  go()
  for (const fd of [reportEnd, goEnd, goFd, memfd, ...stdio.childEnds, cgroupFd, held.listenerFd])
    if (fd !== undefined) close(fd)
  releaseFacts(facts)
  const { detachKeys } = request

  const remember = (pid: number) => {
    live.record.pid = pid
    live.record.startTime = startTime(pid) ?? ""
    updateRunning(live.lock, live.record)
  }
  // While the child makes itself ready there is time to write things down, and to tidy up after others.
  remember(pid)
  record(request, paths, live, spec)
  recover(paths)
  const ending = supervise({
    pid,
    signalFd,
    reportFd,
    traced: request.trace,
    pumps: stdio.pumps,
    terminal:
      stdio.socket === null
        ? null
        : {
            socket: stdio.socket,
            input: true,
            detachKeys,
            detached: () => notice("detaching needs a container started with -d"),
          },
    isInit: !request.init && hasOwnPids(spec),
    isExecAttempt: (index) => two.calls[index - one.calls.length]?.name === "execve",
    onExec: (actual) => {
      if (actual !== pid) remember(actual)
    },
    notice,
  })
  if (traceFd !== undefined) {
    const { printTrace } = await import("../launch/trace.ts")
    printTrace(traceFd, [
      ["child ", one.calls],
      ["sealed", two.calls],
    ])
  }
  if (!ending.executed) {
    const refusal = overlayRefusal(one, ending.reports)
    if (refusal !== null) {
      const copy = await copiedRoot(request, live.directory, root, refusal)
      return start(request, paths, live, copy, spec, signalFd)
    }
    const { launchError } = await import("./launch-error.ts")
    throw launchError(one, two, ending.reports, root.fd)
  }
  return { ending, manager }
}

export const hasOwnPids = (spec: Spec) => spec.linux.namespaces.some((ns) => ns.type === "pid" && ns.path === undefined)
