/** From a prepared container to a process of it that is on its way to its command: launch, cgroup, records. */
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { __WALL } from "../../ffi/constants/wait.ts"
import { close, createExclusive, unlink, writeAll } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { executableMemfd } from "../../ffi/sealed.ts"
import { kill, waitChild } from "../../ffi/signal.ts"
import { type CgroupManager, type PreparedCgroup, prepareCgroup } from "../cgroup/manager.ts"
import { EXIT_KILLED, ToyboxError } from "../errors.ts"
import type { Supervisor } from "../launch/encode/supervisor.ts"
import { type Encoded, launchOpening, type Reports, seal } from "../launch/index.ts"
import { notice } from "../log.ts"
import type { Place } from "../network/endpoint.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { sealedSteps } from "../plan/identity.ts"
import { awaitsLinks, furtherSteps, openingSteps } from "../plan/index.ts"
import { bootId, type FileLock } from "../state-file.ts"
import type { VolumeWish } from "../volume/volume.ts"
import { awaitReport } from "./child-reports.ts"
import { recoverSome } from "./dead.ts"
import { type Actor, recordEvents } from "./events.ts"
import { writePidFile } from "./pid-file.ts"
import { gatherFacts, identify, openingFacts, releaseFacts } from "./prepare.ts"
import type { ContainerRequest } from "./request.ts"
import { TOYBOX_KILLED } from "./result.ts"
import type { Root } from "./root.ts"
import { connectListener, seccompFacts } from "./seccomp.ts"
import {
  type ContainerHead,
  type ContainerResult,
  type RunningRecord,
  resultPath,
  startTime,
  updateRunning,
  writeRecord,
} from "./state.ts"
import type { Stdio } from "./stdio.ts"
import { storedRequest } from "./stored-request.ts"

/** A container while toybox has it in hand; what is set has to be undone. */
export interface Live {
  id: string
  directory: string
  lock: FileLock
  record: RunningRecord
  /** The record is written: `ps -a` would show it. */
  recorded: boolean
  /** As it was before it is started again; null for a new one. */
  head: ContainerHead | null
  root: Root | null
  /** In networks; what is to be given back is told by the record. */
  places: readonly Place[]
  /** Descriptors that keep its volumes from being removed. */
  held: readonly number[]
  /** Locks of the volumes in memory that it is about to mount, by their names. */
  mounting: Map<string, number>
  manager: CgroupManager | null
  /** Every process of it has ended. */
  ended: boolean
  /** Who events are of, once it is recorded. */
  actor: Actor | null
  /** As of the request. */
  pidFile: string | undefined
  /** How its command ended, where it ran. */
  outcome: Pick<ContainerResult, "exitCode" | "oomKilled"> | null
}

/** Writes down what a container is, and with what it can be started again. */
export function keepRecord(request: ContainerRequest, paths: Paths, live: Live, spec: Spec, unstarted = false): void {
  const { id, record } = live
  const head = {
    id,
    name: record.name,
    created: live.head?.created ?? record.started,
    image: request.image,
    lower: request.lower,
    ...(request.below.length === 0 ? {} : { below: request.below }),
    ...(request.imageId === undefined ? {} : { imageId: request.imageId }),
    command: spec.process.args,
    autoRemove: request.autoRemove,
    stopSignal: request.stopSignal,
    ...(request.stopSeconds === undefined ? {} : { stopSeconds: request.stopSeconds }),
    labels: { ...request.process.labels },
    ...(request.detached ? { detached: request.detached } : {}),
    ...(live.record.volumes ? { volumes: live.record.volumes } : {}),
    ...(unstarted ? ({ unstarted: true } as const) : { boot: record.boot ?? "" }),
  }
  writeRecord(paths, { ...head, spec }, storedRequest(request))
  if (request.cidfile !== undefined && !live.recorded) writeIdFile(request.cidfile, id)
  if (!live.recorded) recordEvents(paths, head, ["create"])
  live.recorded = true
  live.actor = head
}

/** Two may have been told the same file. */
export const idFileExists = (path: string): ToyboxError =>
  new ToyboxError(`--cidfile: ${path} exists already`, { hint: "remove it, or name another file" })

function writeIdFile(path: string, id: string): void {
  const fd = createExclusive(path, 0o644)
  if (fd === null) throw idFileExists(path)
  try {
    writeAll(fd, new TextEncoder().encode(id))
  } catch (error) {
    unlink(path)
    throw error
  } finally {
    close(fd)
  }
}

function cgroupOf(request: ContainerRequest, spec: Spec): PreparedCgroup {
  const { options, defaults } = request.requested
  const { cgroupsPath: path, resources } = spec.linux
  // What stays for long is looked at with `stats`.
  const countsIo = request.detached !== null
  return prepareCgroup(request.cgroups, { path, resources, options, defaults, countsIo })
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

/** What a launch needs besides the request. */
export interface BringUp {
  root: Root
  spec: Spec
  stdio: Pick<Stdio, "facts" | "childEnds">
  supervisor?: Supervisor
  reports: Reports
}

/** A container's process under way to its command. */
export interface Begun {
  one: Encoded
  two: Encoded
  /** The container's process, or one that makes it and then reports who it is. */
  pid: number
  supervisor: number | null
  reportFd: number
  traceFd: number | undefined
  manager: CgroupManager
}

/** Waits for the pid that a supervisor reports of the container's process; 0 where something has failed. */
function reportedPid(reportFd: number, maker: number, reports: Reports): number {
  awaitReport({ reportFd, maker }, reports, false, () => reports.pid !== undefined)
  if (reports.pid === undefined && reports.failures.length === 0)
    throw new ToyboxError(TOYBOX_KILLED, { exitCode: EXIT_KILLED })
  return reports.pid ?? 0
}

/**
 * Launches the command. With `supervisor` it is the child of one; what came over the report pipe until then is in `reports`.
 * Throws where the preparation failed; then nothing runs.
 */
export async function bringUp(
  request: ContainerRequest,
  paths: Paths,
  live: Live,
  { root, spec, stdio, supervisor, reports }: BringUp,
): Promise<Begun> {
  live.pidFile = request.pidFile
  if (request.volumes.length > 0) await (await import("./volumes.ts")).fillVolumes(request, paths, root.fd)
  const [reportFd, reportEnd] = pipe()
  const [goEnd, goFd] = pipe()
  const memfd = executableMemfd()
  // On cgroup v2 the child is made in its cgroup, which has to be there; on v1 it enters by itself, which can wait.
  const early = request.cgroups.mode === "unified" ? cgroupOf(request, spec) : null
  if (early) makeCgroup(request, early, live)
  const into = early?.join.into
  const cgroupFd = into ? call("openat", AT_FDCWD, into, O_PATH | O_DIRECTORY | O_CLOEXEC, 0) : undefined
  const traceFd = request.trace ? executableMemfd() : undefined
  const listenerFd = await connectListener(request)
  const madeMounts = await mountsThatAre(request, paths, live, spec, root)
  const opening = openingFacts(spec, {
    stdio: stdio.facts,
    reportFd: reportEnd,
    traceFd,
    memfd,
    goFd: goEnd,
    cgroupFd,
    rootSteps: root.steps,
    awaitsNetwork: live.places.length > 0,
    mountedRoot: root.steps.length === 0 ? root.fd : undefined,
    listenerFd,
    passedFds: request.passedFds?.fds ?? [],
    madeMounts,
  })
  const mountedRoot = root.steps.length === 0 ? root.fd : undefined
  const opened = launchOpening(openingSteps(spec, opening), opening, mountedRoot, supervisor)
  // That it has an end when nobody is left to report anything.
  close(reportEnd)
  const maker = supervisor ? call("pidfd_open", opened.pid, 0) : -1
  const go = () => call("write", goFd, new Uint8Array(1), 1)
  let one: Encoded
  let two: Encoded
  let manager: CgroupManager
  let { pid } = opened
  try {
    // The child has a millisecond or two of work before it; meanwhile its cgroup and the rest of its list are made, then its
    // command is looked at while it goes on.
    const cgroup = early ?? cgroupOf(request, spec)
    const facts = gatherFacts(request, spec, live.directory, opening, cgroup)
    one = opened.goOn(furtherSteps(spec, facts))
    manager = makeCgroup(request, cgroup, live)
    go()
    const { compat } = identify(request, live.id, spec, root.fd)
    if (live.places.length > 0) {
      const { connectPlaces } = await import("./network.ts")
      const helped = one.steps.some((step) => step.kind === "clone" && step.helper)
      const reported = helped || supervisor !== undefined
      connectPlaces(request, live.places, { pid, reported, reportFd, maker }, reports)
      const guarded = live.places.map(({ endpoint }) => endpoint).filter((endpoint) => endpoint.guarded)
      if (guarded.length > 0) {
        // First: the names of its links tell a toybox that cleans up after this one what to take back.
        updateRunning(live.lock, live.record)
        const { guardPlaces } = await import("./guard-places.ts")
        guardPlaces(paths, guarded, request.quiet)
      }
      if (awaitsLinks(spec, facts)) go()
      if (request.ports || live.places.some(({ bridge }) => bridge.changed))
        await (await import("./meet-firewalls.ts")).meetFirewalls(request, paths, live)
    }
    if (supervisor) pid = reportedPid(reportFd, maker, reports)
    const filter = await seccompFacts(request, spec, { id: live.id, pid, compat, listenerFd })
    two = seal(sealedSteps(spec, { ...facts, ...filter }), one.calls.length, facts)
    // From here on it may end, and a supervisor that is killed would leave the end of the run before as that of this one.
    if (live.head) unlink(resultPath(paths, live.id))
    go()
    const ends = [memfd, ...stdio.childEnds, cgroupFd, listenerFd]
    for (const fd of new Set([...ends, ...madeMounts.values()])) if (fd !== undefined) close(fd)
    releaseFacts(opening)
    if (supervisor) live.record.supervisor = { pid: opened.pid, startTime: startTime(opened.pid) ?? "" }
    // While the child makes itself ready there is time to write things down, and to tidy up after others.
    live.record.boot = bootId()
    rememberPid(live, pid)
    keepRecord(request, paths, live, spec)
    // Nothing of it is executed that nobody could ask about, were this toybox killed now.
    go()
    for (const fd of [goEnd, goFd, maker]) if (fd >= 0) close(fd)
  } catch (error) {
    // A supervisor takes the container with it, but for one that has not asked for that yet, or just changes its user: prctl(2).
    if (reports.pid !== undefined) kill(reports.pid, SIGKILL)
    kill(opened.pid, SIGKILL)
    waitChild(opened.pid, __WALL)
    // Whoever is left waits for a word that does not come.
    close(goFd)
    throw error
  }
  await recoverSome(paths)
  return { one, two, pid, supervisor: supervisor ? opened.pid : null, reportFd, traceFd, manager }
}

/** Mounts that are there already, in place of those of the spec. */
async function mountsThatAre(request: ContainerRequest, paths: Paths, live: Live, spec: Spec, root: Root) {
  const { ipc } = request.process.namespaces
  const made =
    ipc?.mode === "container"
      ? (await import("./shared-memory.ts")).sharedMemory(spec, ipc.pid)
      : new Map<Mount, number>()
  const isInMemory = ({ destination }: VolumeWish) =>
    spec.mounts.some((mount) => mount.type === "tmpfs" && mount.destination === destination)
  if (!request.volumes.some(isInMemory)) return made
  const shared = await (await import("./tmpfs-volumes.ts")).sharedVolumes(request, paths, live, spec, root.fd)
  return new Map([...made, ...shared])
}

/** What the container has mounted can be found in it by others, or it will not mount anything. */
export function letOthersMount({ mounting }: Live): void {
  for (const lock of mounting.values()) close(lock)
  mounting.clear()
}

/** The command has been executed. */
export function rememberExec(paths: Paths, live: Live): void {
  live.record.executed = new Date().toISOString()
  if (live.actor) recordEvents(paths, live.actor, ["start"])
}

/** Writes down which process the container's is. */
export function rememberPid(live: Live, pid: number): void {
  live.record.pid = pid
  live.record.startTime = pid === 0 ? "" : (startTime(pid) ?? "")
  updateRunning(live.lock, live.record)
  if (live.pidFile !== undefined && pid > 0) writePidFile(live.pidFile, pid, "--pidfile")
}
