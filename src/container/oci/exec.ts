/** `exec`: another process in a container. */
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { __WALL } from "../../../ffi/constants/wait.ts"
import { close } from "../../../ffi/fs.ts"
import { socketPair } from "../../../ffi/pipe.ts"
import { kill, waitChild } from "../../../ffi/signal.ts"
import { windowSize } from "../../../ffi/tty.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import type { Reports } from "../../launch/index.ts"
import { explainFailure } from "../../launch/report.ts"
import { notice } from "../../log.ts"
import type { Process, Spec } from "../../oci/runtime.ts"
import type { Facts } from "../../plan/facts.ts"
import { ownStandardFds } from "../caller-files.ts"
import { type Entering, enterMoving } from "../enter.ts"
import { writePidFile } from "../pid-file.ts"
import { supervise } from "../supervise.ts"
import { launchFailure } from "./command-error.ts"
import { connectSocket } from "./console.ts"
import { environmentIn } from "./environment.ts"
import { awaitReports, joinedFilter } from "./joined-filter.ts"
import type { OciRecord } from "./record.ts"
import { containerDirectory, ociState, readConfig, readRecord, type Status, statusOf } from "./state.ts"
import { isPaused } from "./still.ts"
import { checkLabels, leaveOutCapabilities } from "./supported.ts"

export interface ExecRequest {
  root: string
  id: string
  /** What is to run, from what the container's own process is. */
  process: (own: Process) => Process
  consoleSocket: string | undefined
  detach: boolean
  pidFile: string | undefined
  passedFds: readonly number[]
  /** Besides those of the process. */
  env: readonly string[]
  /** One below the container's, where the process is to be: `/sub`. */
  cgroup: string | undefined
  /** In a container that is paused, the process waits as the others do. */
  ignorePaused: boolean
}

/** The container, and its spec with the process that joins it. */
function target(request: ExecRequest): { record: OciRecord; status: Status; spec: Spec } {
  const record = readRecord(request.root, request.id)
  const status = statusOf(request.root, record)
  if (status === "stopped" || status === "creating") throw new ToyboxError(`cannot exec in a ${status} container`)
  if (status === "paused" && !request.ignorePaused)
    throw new ToyboxError("cannot exec in a paused container", { hint: "resume it first, or use --ignore-paused" })
  const config = readConfig(request.root, record)
  const process = request.process(config.process)
  checkLabels(process, "exec")
  const spec = { ...config, process: { ...process, env: [...process.env, ...request.env] } }
  leaveOutCapabilities(spec)
  spec.process.env = environmentIn(record.pid, spec.process)
  return { record, status, spec }
}

interface Connected {
  stdio: Facts["stdio"]
  /** Where the terminal's master comes, if it is for this process. */
  socket: number | null
}

function connect(request: ExecRequest, { process }: Spec): Connected {
  if (!process.terminal) {
    if (request.consoleSocket !== undefined)
      throw new UsageError("--console-socket is of no use without a terminal", { hint: "use --tty" })
    return { stdio: ownStandardFds(), socket: null }
  }
  if (request.consoleSocket !== undefined)
    return { stdio: { socketFd: connectSocket(request.consoleSocket) }, socket: null }
  if (request.detach) throw new UsageError("--detach with a terminal needs --console-socket")
  const [socket, socketFd] = socketPair()
  // From the first: the command may ask before anybody could tell it.
  const size = windowSize(1) ?? windowSize(0)
  if (size) process.consoleSize = size
  return { stdio: { socketFd }, socket }
}

/** Waits until the command runs; returns its number. Throws where it cannot. */
function awaitCommand(spec: Spec, entering: Entering, reports: Reports): number {
  while (awaitReports(entering.reportFd, reports));
  const pid = reports.pid ?? entering.pid
  if (pid !== entering.pid) waitChild(entering.pid, __WALL)
  const { one, two } = entering
  if (executed(entering, reports)) return pid
  waitChild(pid, __WALL)
  throw launchFailure(spec, one, two, reports)
}

/** Only the list's end has no call: it is reported where no candidate could be executed. */
const executed = ({ one, two }: Entering, { failures }: Reports) =>
  failures.every(({ index }) => two.calls[index - one.calls.length]?.name === "execve")

/** Runs a process in a container; returns its exit code, or 0 with `detach`. `signalFd` is of takeSignals. */
export async function execInContainer(request: ExecRequest, signalFd: number): Promise<number> {
  const { record, status, spec } = target(request)
  const joined = await joinedFilter(request.root, spec, ociState(record, status))
  const { filter, listenerFd } = joined
  const { stdio, socket } = connect(request, spec)
  const childSocket = "socketFd" in stdio ? stdio.socketFd : -1
  let entering: Entering
  try {
    const { passedFds } = request
    const place = { below: request.cgroup, ignorePaused: request.ignorePaused }
    const { pid, startTime, cgroup } = record
    const how = { pid, startTime, cgroup, spec, stdio, passedFds, seccomp: filter, listenerFd, ...place }
    entering = await enterMoving(
      how,
      () => cgroup === null || isPaused(containerDirectory(request.root, request.id), cgroup),
    )
  } catch (error) {
    throw explainFailure(error)
  } finally {
    if (childSocket >= 0) close(childSocket)
    if (listenerFd !== undefined) close(listenerFd)
  }
  const remember = (pid: number) => {
    if (request.pidFile === undefined) return
    try {
      writePidFile(request.pidFile, pid)
    } catch (error) {
      // Nobody would know of it.
      kill(pid, SIGKILL)
      throw error
    }
  }
  const reports: Reports = { failures: [] }
  joined.introduce(entering, reports)
  joined.close()
  if (request.detach) {
    remember(awaitCommand(spec, entering, reports))
    return 0
  }
  const { one, two, pid, reportFd } = entering
  const ending = supervise({
    pid,
    signalFd,
    reportFd,
    reports,
    traced: false,
    pumps: [],
    terminal: socket === null ? null : { socket, input: true, detachKeys: [], detached: () => {} },
    isInit: false,
    isExecAttempt: (index) => two.calls[index - one.calls.length]?.name === "execve",
    onExec: remember,
    notice,
  })
  if (!ending.executed) throw launchFailure(spec, one, two, ending.reports)
  ending.passRest?.()
  const signal = ending.escalated ?? ending.status.signal
  return signal === undefined ? (ending.status.code ?? 0) : 128 + signal
}
