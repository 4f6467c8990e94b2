/** From the clone to a process that waits at its start FIFO. */
import { call } from "../../../ffi/call.ts"
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "../../../ffi/constants/fcntl.ts"
import { POLLIN } from "../../../ffi/constants/poll.ts"
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { S_IFIFO } from "../../../ffi/constants/stat.ts"
import { __WALL } from "../../../ffi/constants/wait.ts"
import { close, mkdir, open } from "../../../ffi/fs.ts"
import { pipe } from "../../../ffi/pipe.ts"
import { poll } from "../../../ffi/poll.ts"
import { executableMemfd } from "../../../ffi/sealed.ts"
import { kill, waitChild } from "../../../ffi/signal.ts"
import type { Cgroups } from "../../cgroup/detect.ts"
import type { CgroupManager } from "../../cgroup/manager.ts"
import { ToyboxError } from "../../errors.ts"
import { type Encoded, launchOpening, type Reports, readReports, seal } from "../../launch/index.ts"
import type { Spec } from "../../oci/runtime.ts"
import { type Facts, MOMENT_HOOKS, MOMENT_MAPS, MOMENT_READY } from "../../plan/facts.ts"
import { sealedSteps } from "../../plan/identity.ts"
import { furtherSteps, openingSteps } from "../../plan/index.ts"
import { hasOwn } from "../../plan/namespaces.ts"
import { ownStandardFds } from "../caller-files.ts"
import { inUserNamespace } from "../facts.ts"
import { releaseFacts } from "../prepare.ts"
import { startTime } from "../state.ts"
import { launchFailure } from "./command-error.ts"
import { connectSocket } from "./console.ts"
import { gatherFacts, ownCgroupDirs } from "./facts.ts"
import { makeFilter } from "./filter.ts"
import { runHooks } from "./hooks.ts"
import { prepareMounts } from "./mounts.ts"
import { limitOutside, prepareOutside } from "./outside.ts"
import type { OciRecord } from "./record.ts"
import { containerDirectory, ociState, reportFifo, startFifo, writeRecord } from "./state.ts"

export interface CreateRequest {
  root: string
  id: string
  /** Absolute. */
  bundle: string
  /** Instead of the bundle's config.json. */
  configFile: string | undefined
  /** It gets no cgroup of its own. */
  noCgroup: boolean
  /** The socket over which the terminal's master is sent: a path, or one that is connected. */
  consoleSocket: string | number | undefined
  /** Besides 0, 1 and 2. */
  passedFds: readonly number[]
  /** Added to the environment of the command. */
  env: readonly string[]
  pidFile: string | undefined
  noPivot: boolean
  noNewKeyring: boolean
}

/** A FIFO's two ends. A reader first: a writer alone would have to wait for one. */
function makeFifo(path: string, flags: number, hold: (fd: number) => number): [number, number] {
  call("mknodat", AT_FDCWD, path, S_IFIFO | 0o600, 0)
  const reader = hold(open(path, O_RDONLY | O_NONBLOCK))
  return [reader, hold(open(path, flags))]
}

/** The command's standard descriptors: the caller's, or a terminal of its own. */
function openStdio({ process }: Spec, socket: string | number | undefined): Facts["stdio"] {
  if (process.terminal && socket === undefined) {
    throw new ToyboxError("cannot allocate a terminal without a console socket", {
      hint: "use --console-socket, or set process.terminal to false",
    })
  }
  if (!process.terminal && socket !== undefined) {
    throw new ToyboxError("a console socket is of no use without a terminal", { hint: "set process.terminal to true" })
  }
  if (socket === undefined) return ownStandardFds()
  return { socketFd: typeof socket === "number" ? socket : connectSocket(socket) }
}

/** What the child mounts over. Hooks in it may still want to see the container's state. */
function scratchDirectory(root: string, id: string, { hooks }: Spec): string {
  const directory = containerDirectory(root, id)
  if (!hooks?.createContainer?.length) return directory
  mkdir(`${directory}/scratch`, 0o700)
  return `${directory}/scratch`
}

export interface Launching {
  request: CreateRequest
  spec: Spec
  record: OciRecord
  cgroups: Cgroups
  manager: CgroupManager | null
  rootFd: number
}

/** Clones the child, and stays with it until it waits at its FIFO. */
export async function bringUp(launching: Launching): Promise<void> {
  const { request, spec, record, cgroups, manager, rootFd } = launching
  const { root, id } = request
  const opened = new Set<number>()
  const hold = (fd: number) => {
    opened.add(fd)
    return fd
  }
  const drop = (fd: number) => opened.delete(fd) && close(fd)
  let pid = 0
  try {
    const [reportFd, reportEnd] = makeFifo(reportFifo(root, id), O_WRONLY, hold)
    const [spare, startFd] = makeFifo(startFifo(root, id), O_RDWR, hold)
    const [goEnd, goFd] = pipe()
    hold(goEnd)
    hold(goFd)
    const memfd = hold(executableMemfd())
    const stdio = openStdio(spec, request.consoleSocket)
    if ("socketFd" in stdio) hold(stdio.socketFd)
    const { listenerPath } = spec.linux.seccomp ?? {}
    const listener = listenerPath === undefined ? null : await import("../seccomp-listener.ts")
    const listenerFd = listenerPath === undefined ? undefined : listener?.connectSupervisor(listenerPath)
    if (listenerFd !== undefined) hold(listenerFd)
    const into = manager?.join.into
    const cgroupFd = into ? hold(call("openat", AT_FDCWD, into, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)) : undefined
    const { hooks } = spec
    const awaitHooks = Boolean(
      hooks?.prestart?.length || hooks?.createRuntime?.length || hooks?.createContainer?.length,
    )
    const mounts = prepareMounts(spec, rootFd)
    for (const fd of mounts.made.values()) hold(fd)
    const makesDevices = !hasOwn(spec, "user") && !inUserNamespace()
    const deviceSources = makesDevices ? undefined : (await import("./devices.ts")).prepareDevices(spec)
    if (deviceSources?.fd !== undefined) hold(deviceSources.fd)
    const facts = gatherFacts(
      spec,
      scratchDirectory(root, id, spec),
      cgroups,
      {
        stdio,
        reportFd: reportEnd,
        memfd,
        goFd: goEnd,
        startFd,
        passedFds: request.passedFds,
        rootFd,
        cgroupFd,
        listenerFd,
        mounts,
        deviceSources,
        cgroupFiles: manager?.join.files ?? [],
        cgroupDirs: manager?.handle.dirs ?? ownCgroupDirs(cgroups),
      },
      { awaitHooks, noPivot: request.noPivot, keepKeyring: request.noNewKeyring },
    )
    const opened = launchOpening(openingSteps(spec, facts), facts, rootFd)
    pid = opened.pid
    const go = () => call("write", goFd, new Uint8Array(1), 1)
    const one = opened.goOn(furtherSteps(spec, facts))
    go()
    remember(root, record, pid)
    const compiled = await makeFilter(root, id, spec)
    const filter = compiled
      ? (listener?.withListener(compiled, spec, { id, pid, bundle: request.bundle, listenerFd }) ?? {
          seccomp: compiled,
        })
      : {}
    const two = seal(sealedSteps(spec, { ...facts, ...filter }), one.calls.length, facts)
    record.execCall = one.calls.length + two.calls.findIndex(({ name }) => name === "execve")
    const awaitMaps = hasOwn(spec, "user")
    if (!awaitHooks && !awaitMaps) go()
    // What the child alone may hold now: its end is told by the ends of these.
    for (const fd of [reportEnd, spare, startFd, goEnd, memfd, ...mounts.made.values()]) drop(fd)
    releaseFacts(facts)
    follow({ launching, one, two, reportFd, helper: pid, awaitHooks, go })
  } catch (error) {
    if (pid > 0) {
      // Before the record knows of it, its pid is 0: to kill(2) that is everybody in toybox's own process group.
      const first = record.pid || pid
      kill(first, SIGKILL)
      for (const child of new Set([pid, first])) waitChild(child, __WALL)
    }
    throw error
  } finally {
    for (const fd of opened) close(fd)
  }
}

function remember(root: string, record: OciRecord, pid: number): void {
  record.pid = pid
  record.startTime = startTime(pid) ?? ""
  writeRecord(root, record)
}

/** A child that was killed for want of memory could not tell it. */
function withMemoryHint(error: ToyboxError, { manager }: Launching): ToyboxError {
  if (!manager || manager.oomKills() === 0) return error
  return new ToyboxError(`${error.message}: the memory limit of ${manager.memoryLimit()} bytes is too low`, error)
}

/** Hears the child out: runs the hooks at their moment; returns when the child waits for its start. */
function follow(context: {
  launching: Launching
  one: Encoded
  two: Encoded
  reportFd: number
  helper: number
  awaitHooks: boolean
  go: () => void
}): void {
  const { launching, one, two, reportFd, helper, awaitHooks, go } = context
  const [clone] = one.steps
  const hasHelper = clone?.kind === "clone" && clone.helper !== undefined
  const { request, spec, record } = launching
  const reports: Reports = { failures: [] }
  for (let told = 0; ; ) {
    const [events] = poll([{ fd: reportFd, events: POLLIN }], null)
    if (!events) continue
    const more = readReports(reportFd, reports, false)
    if (reports.pid !== undefined && reports.pid !== record.pid) {
      waitChild(helper, __WALL)
      remember(request.root, record, reports.pid)
    }
    // The helper may be later than the child that it has made.
    if (more && hasHelper && reports.pid === undefined) continue
    for (const moment of reports.moments?.slice(told) ?? []) {
      told++
      if (moment === MOMENT_READY) {
        if (hasOwn(spec, "user")) limitOutside(record.pid, spec)
        return
      }
      if (moment === MOMENT_MAPS) {
        prepareOutside(record.pid, spec)
        go()
        if (!awaitHooks) go()
      }
      if (moment === MOMENT_HOOKS) {
        const state = ociState(record, "created")
        runHooks("prestart", spec.hooks?.prestart, state)
        runHooks("createRuntime", spec.hooks?.createRuntime, state)
        runHooks("createContainer", spec.hooks?.createContainer, state, record.pid)
        go()
        go()
      }
    }
    if (!more) throw withMemoryHint(launchFailure(spec, one, two, reports), launching)
  }
}
