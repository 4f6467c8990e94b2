/** A container from its first directory to its last: prepare, launch, supervise, clean up. */
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { __WALL } from "../../ffi/constants/wait.ts"
import { close, createExclusive, writeAll } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { executableMemfd } from "../../ffi/sealed.ts"
import { kill, waitChild } from "../../ffi/signal.ts"
import { type CgroupManager, createCgroup } from "../cgroup/manager.ts"
import type { CgroupHandle } from "../cgroup/plan.ts"
import { EXIT_TOYBOX, errorChain, ToyboxError } from "../errors.ts"
import { type Encoded, launch, seal } from "../launch/index.ts"
import { notice } from "../log.ts"
import type { Spec } from "../oci/runtime.ts"
import { overlayLayout } from "../overlay/layout.ts"
import type { Paths } from "../paths.ts"
import { sealedSteps } from "../plan/identity.ts"
import { childSteps } from "../plan/index.ts"
import { unpivotableMounts } from "./facts.ts"
import { writeContainerFiles } from "./files.ts"
import { proposeName } from "./names.ts"
import { effectiveHostname, gatherFacts, identify, makeSpec, releaseFacts } from "./prepare.ts"
import { recover } from "./recover.ts"
import type { ContainerRequest } from "./request.ts"
import { describeEnding } from "./result.ts"
import { openRoot } from "./root.ts"
import { connectListener, seccompFacts } from "./seccomp.ts"
import {
  type ContainerResult,
  enterRunning,
  forget,
  leaveRunning,
  makeContainerDirectory,
  newId,
  type RunningLock,
  type RunningRecord,
  releaseName,
  startTime,
  takeName,
  updateRunning,
  writeRecord,
  writeResult,
} from "./state.ts"
import { openStdio } from "./stdio.ts"
import { type Ending, supervise } from "./supervise.ts"

/** A container while toybox has it in hand; what is set has to be undone. */
interface Live {
  id: string
  directory: string
  lock: RunningLock
  record: RunningRecord
  /** The record is written: `ps -a` would show it. */
  recorded: boolean
  rootFd: number
  manager: CgroupManager | null
  /** Every process of it has ended. */
  ended: boolean
}

// With many containers the names run short: digits make more.
const proposal = (attempt: number) =>
  attempt < 5 ? proposeName(newId()) : `${proposeName(newId())}_${newId().slice(0, 6)}`

function enter(request: ContainerRequest, paths: Paths): Live {
  const id = newId()
  const record: RunningRecord = {
    pid: 0,
    startTime: "",
    started: new Date().toISOString(),
    autoRemove: request.autoRemove,
    name: request.name ?? proposal(0),
    cgroup: null,
  }
  // First, because it tells the next toybox what there may be to undo, should this one be killed.
  const lock = enterRunning(paths, id, record)
  try {
    for (let attempt = 1; !takeName(paths, record.name, id, request.name !== undefined || attempt > 10); attempt++) {
      record.name = proposal(attempt)
      updateRunning(lock, record)
    }
    return {
      id,
      directory: makeContainerDirectory(paths, id),
      lock,
      record,
      recorded: false,
      rootFd: -1,
      manager: null,
      ended: false,
    }
  } catch (error) {
    releaseName(paths, record.name, id)
    leaveRunning(lock)
    throw error
  }
}

function makeCgroup(request: ContainerRequest, spec: Spec, live: Live): CgroupManager {
  const { options, defaults } = request.requested
  const wish = { path: spec.linux.cgroupsPath, resources: spec.linux.resources, options, defaults }
  const announce = (handle: CgroupHandle) => {
    live.record.cgroup = handle
    updateRunning(live.lock, live.record)
  }
  const { manager, notices } = createCgroup(request.cgroups, wish, { announce })
  live.manager = manager
  if (!request.quiet) for (const text of notices) notice(text)
  return manager
}

function record(request: ContainerRequest, paths: Paths, live: Live, spec: Spec): void {
  const { id, record } = live
  writeRecord(paths, {
    id,
    name: record.name,
    created: record.started,
    image: request.image,
    command: spec.process.args,
    autoRemove: request.autoRemove,
    stopSignal: request.stopSignal,
    labels: { ...request.process.labels },
    spec,
  })
  live.recorded = true
  if (request.cidfile !== undefined) writeIdFile(request.cidfile, id)
}

function writeIdFile(path: string, id: string): void {
  const fd = createExclusive(path, 0o644)
  if (fd === null)
    throw new ToyboxError(`--cidfile: ${path} exists already`, { hint: "remove it, or name another file" })
  writeAll(fd, new TextEncoder().encode(id))
  close(fd)
}

async function start(
  request: ContainerRequest,
  paths: Paths,
  live: Live,
  manager: CgroupManager,
  spec: Spec,
  signalFd: number,
): Promise<Ending> {
  const stdio = openStdio({ terminal: request.process.terminal, interactive: request.interactive })
  const [reportFd, reportEnd] = pipe()
  const [goEnd, goFd] = pipe()
  const memfd = executableMemfd()
  const { join, handle } = manager
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
    rootFd: live.rootFd,
    listenerFd: connectListener(request),
  }
  const facts = gatherFacts(request, spec, live.directory, held, unpivotableMounts(request.mountinfo))
  const one = launch(childSteps(spec, facts), live.rootFd, facts)
  const { pid } = one
  let two: Encoded
  try {
    // The child has two milliseconds of mounting before it; meanwhile its command is prepared.
    identify(request, live.id, spec, live.rootFd)
    const filter = await seccompFacts(request, spec, { id: live.id, pid, listenerFd: held.listenerFd })
    two = seal(sealedSteps(spec, { ...facts, ...filter }), one.calls.length, facts)
  } catch (error) {
    kill(pid, SIGKILL)
    waitChild(pid, __WALL)
    throw error
  }
  call("write", goFd, new Uint8Array(1), 1)
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
    const { launchError } = await import("./launch-error.ts")
    throw launchError(one, two, ending.reports, live.rootFd)
  }
  return ending
}

const hasOwnPids = (spec: Spec) => spec.linux.namespaces.some((ns) => ns.type === "pid" && ns.path === undefined)

/**
 * Ends all that is left of a container and gives back what it held; with a result it is kept. Every part is tried; the first
 * error is thrown.
 */
function cleanUp(paths: Paths, live: Live, result: ContainerResult | null): void {
  const errors: unknown[] = []
  const attempt = (part: () => void) => {
    try {
      part()
    } catch (error) {
      errors.push(error)
    }
  }
  if (result) attempt(() => writeResult(paths, live.id, result))
  const { manager } = live
  if (manager) {
    // With its own pid namespace nobody outlives the command; and the removal waits for those on their way out.
    if (!live.ended) attempt(() => manager.kill())
    attempt(() => manager.remove())
  }
  if (live.rootFd >= 0) close(live.rootFd)
  if (!result) attempt(() => forget(paths, live.id, live.record.name))
  else attempt(() => removeTree(overlayLayout(live.directory).work))
  attempt(() => leaveRunning(live.lock))
  if (errors.length > 0) throw errors[0]
}

/** Runs a container in the foreground; returns the exit code for toybox. `signalFd` is of takeSignals. */
export async function run(request: ContainerRequest, paths: Paths, signalFd: number): Promise<number> {
  // The caller's would close files to the users of the container; the modes below are meant as they stand.
  process.umask(0o022)
  const live = enter(request, paths)
  let result: ContainerResult
  try {
    writeContainerFiles({
      directory: live.directory,
      hostname: effectiveHostname(request, live.id),
      hostNetwork: request.process.namespaces.network?.mode === "host",
    })
    live.rootFd = await openRoot(request, live.directory)
    const spec = makeSpec(request, live.id, live.directory)
    const manager = makeCgroup(request, spec, live)
    const ending = await start(request, paths, live, manager, spec, signalFd)
    live.ended = hasOwnPids(spec)
    const { exitCode, signal, oomKilled, message } = describeEnding(ending, manager)
    if (message && !request.quiet) notice(message)
    const finished = new Date().toISOString()
    result = { exitCode, oomKilled, started: live.record.started, finished, ...(signal ? { signal } : {}) }
  } catch (error) {
    const { explainFailure } = await import("../launch/report.ts")
    const told = explainFailure(error)
    // A command that cannot be run leaves a container to look at, as docker has it; a container that could not be made, none.
    const kept = live.recorded && !request.autoRemove && told instanceof ToyboxError && told.exitCode !== EXIT_TOYBOX
    const finished = new Date().toISOString()
    try {
      cleanUp(paths, live, kept ? { exitCode: told.exitCode, oomKilled: false, error: told.message, finished } : null)
    } catch (leak) {
      // Both are told; the first one is why.
      notice(`cleaning up after the failure failed too: ${errorChain(leak)}`)
    }
    throw told
  }
  cleanUp(paths, live, request.autoRemove ? null : result)
  return result.exitCode
}
