/** A process that joins a running container: `exec`. */
import { call } from "../../ffi/call.ts"
import { EBUSY } from "../../ffi/constants/errno.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { __WALL } from "../../ffi/constants/wait.ts"
import { close, exists, open, tryReadText } from "../../ffi/fs.ts"
import { pipe } from "../../ffi/pipe.ts"
import { executableMemfd } from "../../ffi/sealed.ts"
import { kill, waitChild } from "../../ffi/signal.ts"
import { openCgroup } from "../cgroup/manager.ts"
import { placeIn } from "../cgroup/place.ts"
import type { CgroupHandle, JoinTarget } from "../cgroup/plan.ts"
import { ToyboxError } from "../errors.ts"
import { type Encoded, type Launched, ListFailure, launch, seal } from "../launch/index.ts"
import type { Spec } from "../oci/runtime.ts"
import { type EnterFacts, enteredSteps, enteringSteps } from "../plan/enter.ts"
import type { Facts, SeccompProgram } from "../plan/facts.ts"
import { isNew } from "../plan/namespaces.ts"
import { inUserNamespace, keepsGroups, lastCapability } from "./facts.ts"
import { otherNamespaces } from "./namespaces.ts"
import { startTime } from "./state.ts"

/** The container that is entered, and as what. */
export interface EnterRequest {
  /** The container's first process: its number, and field 22 of /proc/PID/stat. */
  pid: number
  startTime: string
  cgroup: CgroupHandle | null
  /** With the process that is to join. */
  spec: Spec
  stdio: Facts["stdio"]
  passedFds: readonly number[]
  seccomp: SeccompProgram | undefined
  /** A cgroup below the container's: `/sub`. */
  below?: string | undefined
  ignorePaused?: boolean
  /** Connected to the supervisor of a profile. */
  listenerFd?: number | undefined
}

/** What joins: the process that goes in first, whose sibling may be the one in the end, and where both report. */
export interface Entering {
  pid: number
  /** It is a sibling in the end, whose number is reported. */
  reportsPid: boolean
  reportFd: number
  one: Encoded
  two: Encoded
}

const PLACES = {
  rootMountPoint: "/",
  scratchMountPoint: "/",
  unpivotable: null,
  chrooted: false,
  cgroupView: { mounts: [], links: [] },
  sources: new Map(),
  ownFiles: new Set<string>(),
  present: new Map(),
  namespaceFds: new Map(),
  stageOneFds: [],
  rootFiles: [],
} as const

/** Where a process goes that is to be below the container's cgroup. Throws ToyboxError where that is not there. */
function joinBelow({ into, files }: JoinTarget, below: string | undefined): JoinTarget {
  if (below === undefined) return { into, files }
  const lower = files.map((file) => {
    const slash = file.lastIndexOf("/")
    return `${file.slice(0, slash)}${below}${file.slice(slash)}`
  })
  const missing = lower.find((file) => !exists(file))
  if (missing !== undefined) {
    throw new ToyboxError(
      `the container has no cgroup ${below}: ${missing.slice(0, missing.lastIndexOf("/"))} is not there`,
    )
  }
  return { into: into === null ? null : into + below, files: lower }
}

/**
 * Where a process goes that could not be made in the container's cgroup: none can be in one that gives controllers to others
 * below it, as an init such as systemd has it. Where the first process is, others can be.
 */
function besideFirst(error: unknown, { pid, cgroup, below }: EnterRequest): string {
  const isBusy = error instanceof ListFailure && error.errno === EBUSY
  const place =
    isBusy && cgroup && below === undefined ? placeIn(cgroup, tryReadText(`/proc/${pid}/cgroup`) ?? "") : null
  if (place === null) throw error
  return place
}

/** Nobody can join a container whose processes stand where they are. */
class StandsStill extends ToyboxError {
  constructor() {
    super("cannot exec in a paused container", { hint: "toybox unpause lets it go on" })
  }
}

/** Lets a process join. Throws StandsStill, or ToyboxError where the container has ended. */
export function enter(request: EnterRequest): Entering {
  const { spec, stdio } = request
  const manager = request.cgroup ? openCgroup(request.cgroup) : null
  if (!request.ignorePaused && manager?.isFrozen()) throw new StandsStill()
  const opened: number[] = []
  const hold = (fd: number) => {
    opened.push(fd)
    return fd
  }
  const { pidFd, namespaces } = otherNamespaces(request.pid)
  hold(pidFd)
  let pid = 0
  const [reportFd, reportEnd] = pipe()
  hold(reportEnd)
  try {
    const rootFd = isNew(spec, "mount") ? undefined : hold(open(`/proc/${request.pid}/root`, O_PATH | O_DIRECTORY))
    // Behind the pidfd: a number that is the container's now was when it was opened.
    if (startTime(request.pid) !== request.startTime) throw new ToyboxError("the container has ended")
    const [goEnd, goFd] = pipe()
    hold(goEnd)
    hold(goFd)
    const memfd = hold(executableMemfd())
    const join = manager === null ? null : joinBelow(manager.join, request.below)
    const into = join?.into
    const cgroupFd = into ? hold(call("openat", AT_FDCWD, into, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)) : undefined
    const ownRoot = rootFd === undefined ? {} : { rootFd }
    const facts: EnterFacts = {
      ...PLACES,
      rootFiles: [],
      rootSteps: [],
      cgroup: cgroupFd === undefined ? { join: join?.files ?? [] } : { join: [], fd: cgroupFd },
      lastCapability: lastCapability(),
      groupsMayStay: inUserNamespace(),
      keepsGroups: keepsGroups(spec),
      stdio,
      init: false,
      parentDeathSignal: false,
      reportFd: reportEnd,
      memfd,
      goFd: goEnd,
      ...ownRoot,
      enterFds: [pidFd, ...("socketFd" in stdio ? [stdio.socketFd] : []), ...Object.values(ownRoot)],
      passedFds: request.passedFds,
      ...(request.seccomp ? { seccomp: request.seccomp } : {}),
      ...(request.listenerFd === undefined ? {} : { listenerFd: request.listenerFd }),
      pidFd,
      namespaces,
    }
    const launchIn = (own: EnterFacts) => launch(enteringSteps(spec, own), own)
    let one: Launched
    try {
      one = launchIn(facts)
    } catch (error) {
      one = launchIn({
        ...facts,
        cgroup: { join: [], fd: hold(open(besideFirst(error, request), O_PATH | O_DIRECTORY)) },
      })
    }
    pid = one.pid
    const two = seal(enteredSteps(spec, facts), one.calls.length, facts)
    call("write", goFd, new Uint8Array(1), 1)
    return { pid, reportsPid: namespaces.includes("pid"), reportFd, one, two }
  } catch (error) {
    close(reportFd)
    if (pid > 0) {
      kill(pid, SIGKILL)
      waitChild(pid, __WALL)
    }
    throw error
  } finally {
    for (const fd of opened) close(fd)
  }
}

/**
 * As enter; where the container stands still `isPaused` waits until toybox itself lets it go on, and tells whether its
 * user has paused it. Throws ToyboxError where it has ended, or is paused.
 */
export async function enterMoving(
  request: EnterRequest,
  isPaused: () => boolean | Promise<boolean>,
): Promise<Entering> {
  for (;;) {
    try {
      return enter(request)
    } catch (error) {
      if (!(error instanceof StandsStill) || (await isPaused())) throw error
    }
  }
}
