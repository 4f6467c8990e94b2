/** A container without the caller's terminal: started here, and left to a supervisor of its own (supervisor.ts). */
import { call, callResult } from "../../ffi/call.ts"
import { F_SETFL, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../ffi/constants/fcntl.ts"
import { SOCK_SEQPACKET } from "../../ffi/constants/socket.ts"
import { __WALL } from "../../ffi/constants/wait.ts"
import { close, mkdir, unlink } from "../../ffi/fs.ts"
import { pipe, socketPair } from "../../ffi/pipe.ts"
import { waitChild } from "../../ffi/signal.ts"
import { listenUnix } from "../../ffi/unix.ts"
import { EXIT_KILLED, EXIT_TOYBOX, errorChain, ToyboxError } from "../errors.ts"
import { type Reports, readReports } from "../launch/index.ts"
import { notice } from "../log.ts"
import type { Spec } from "../oci/runtime.ts"
import { environmentOf, type Paths } from "../paths.ts"
import { attachPath } from "./attach-protocol.ts"
import { bringUp, type Live, letOthersMount, rememberExec, rememberPid } from "./bring-up.ts"
import { cleanUp } from "./clean-up.ts"
import { tellNeighbours } from "./neighbours.ts"
import { enter } from "./new-container.ts"
import { prepareFiles } from "./own-files.ts"
import { makeSpec } from "./prepare.ts"
import type { ContainerRequest } from "./request.ts"
import { TOYBOX_KILLED } from "./result.ts"
import { copiedRoot, newRoot, overlayRefusal, type Root } from "./root.ts"
import type { Stdio } from "./stdio.ts"

const BACKLOG = 16

/** Only what toybox itself looks at: the caller's may have secrets. */
const environment = (paths: Paths) => [`PATH=${process.env.PATH ?? ""}`, ...environmentOf(paths)]

/** Those that attach are told from here on to wait. A socket that is there already is of an earlier run. */
function listenForAttach(paths: Paths, id: string): number {
  mkdir(paths.attach, 0o700)
  unlink(attachPath(paths, id))
  return listenUnix(attachPath(paths, id), SOCK_SEQPACKET, 0o600, BACKLOG)
}

/** The command's standard descriptors, and the supervisor's ends of them by their names there (CommandFds). */
function openPipes({ process, interactive }: ContainerRequest): {
  stdio: Pick<Stdio, "facts" | "childEnds">
  fds: Partial<Record<"out" | "err" | "terminal" | "input", number>>
  typing: boolean
} {
  if (process.terminal) {
    const [terminal, socketFd] = socketPair()
    return { stdio: { facts: { socketFd }, childEnds: [socketFd] }, fds: { terminal }, typing: interactive }
  }
  const [out, outEnd] = pipe()
  const [err, errEnd] = pipe()
  for (const fd of [out, err]) call("fcntl", fd, F_SETFL, O_RDONLY | O_NONBLOCK)
  if (!interactive) {
    return { stdio: { facts: [null, outEnd, errEnd], childEnds: [outEnd, errEnd] }, fds: { out, err }, typing: false }
  }
  const [inEnd, input] = pipe()
  call("fcntl", input, F_SETFL, O_WRONLY | O_NONBLOCK)
  const ends = [inEnd, outEnd, errEnd] as const
  return { stdio: { facts: ends, childEnds: [...ends] }, fds: { out, err, input }, typing: false }
}

/** Returns when the command has been executed. Throws where it was not; then nothing of it runs any more. */
async function launchSupervised(
  request: ContainerRequest,
  paths: Paths,
  live: Live,
  root: Root,
  spec: Spec,
  listening: (id: string) => void,
): Promise<void> {
  const [controlEnd, control] = pipe()
  const listener = listenForAttach(paths, live.id)
  listening(live.id)
  const { stdio, fds, typing } = openPipes(request)
  const limits = request.detached?.log
  const own = { lock: live.lock.fd, control: controlEnd, listener, ...fds }
  const settings = {
    ...(typing ? { typing: 1 } : {}),
    ...(request.detached?.health ? { health: 1 } : {}),
    ...(request.detached?.timeout ? { timeout: request.detached.timeout } : {}),
    ...(limits ? { "log-size": limits.maxSize, "log-files": limits.maxFiles } : {}),
  }
  const removed = request.removedImage === undefined ? {} : { image: request.removedImage }
  const words = Object.entries({ ...own, ...settings, ...removed }).map(([name, value]) => `${name}=${value}`)
  const supervisor = {
    args: ["toybox", "supervise", live.id, ...words],
    env: environment(paths),
    // Ports stay claimed as long as it lives.
    fds: [...Object.values(own), ...(live.record.ports ?? []).flatMap(({ fd }) => fd ?? [])],
  }
  const reports: Reports = { failures: [], supervised: true }
  const joins = request.process.namespaces.pid?.mode === "container"
  const begin = joins ? (await import("./unseen.ts")).bringUpUnseen : bringUp
  const begun = await begin(request, paths, live, { root, spec, stdio, supervisor, reports })
  const { one, two } = begun
  for (const fd of [controlEnd, listener, ...Object.values(fds)]) close(fd)
  while (readReports(begun.reportFd, reports, false));
  const executed = reports.failures.every(({ index }) => two.calls[index - one.calls.length]?.name === "execve")
  if (executed) {
    rememberExec(paths, live)
    rememberPid(live, reports.pid ?? begun.pid)
    letOthersMount(live)
    const taken = callResult("write", control, new Uint8Array(1), 1) === 1
    close(control)
    if (!taken) throw new ToyboxError(TOYBOX_KILLED, { exitCode: EXIT_KILLED })
    if (live.record.ports) (await import("../network/published.ts")).closePorts(live.record.ports)
    return
  }
  // Without a word the supervisor ends the container, and itself.
  close(control)
  waitChild(begun.supervisor ?? 0, __WALL)
  // One that has failed before it was a supervisor has ended nothing: the command may run by now.
  live.manager?.kill()
  live.ended = true
  const refusal = overlayRefusal(one, reports)
  if (refusal === null) throw (await import("./launch-error.ts")).launchError(one, two, reports, root.fd)
  const copy = await copiedRoot(request, live.directory, refusal)
  close(root.fd)
  live.root = copy
  return launchSupervised(request, paths, live, copy, spec, listening)
}

/** Makes and starts a container; returns its id when its command has been executed. */
export async function runDetached(request: ContainerRequest, paths: Paths): Promise<string> {
  process.umask(0o022)
  const live = enter(request, paths)
  await startEntered(request, paths, live)
  return live.id
}

/**
 * Starts a container that is entered among the running ones; returns when its command has been executed. `listening` is called
 * when its supervisor can be attached to, before there is any output.
 */
export async function startEntered(
  request: ContainerRequest,
  paths: Paths,
  live: Live,
  listening: (id: string) => void = () => {},
): Promise<void> {
  try {
    if (request.ports) (await import("./ports.ts")).claimForContainer(request.ports, request, paths, live.record)
    if (request.volumes.length > 0) live.held = (await import("./volumes.ts")).takeVolumes(request, paths, live)
    if (request.networks.length > 0) live.places = await (await import("./network.ts")).takePlaces(request, paths, live)
    await prepareFiles(request, paths, live)
    tellNeighbours(paths, live.record.networks ?? [])
    if (request.detached?.health) {
      const { UNKNOWN_HEALTH } = await import("./health.ts")
      const { writeHealth } = await import("./health-file.ts")
      writeHealth(paths, live.id, UNKNOWN_HEALTH)
    }
    const root = await newRoot(request, live.directory)
    live.root = root
    await launchSupervised(request, paths, live, root, makeSpec(request, live.id, live.directory), listening)
  } catch (error) {
    const { explainFailure } = await import("../launch/report.ts")
    const told = explainFailure(error)
    unlink(attachPath(paths, live.id))
    const exitCode = told instanceof ToyboxError ? told.exitCode : EXIT_TOYBOX
    const kept = live.recorded && !request.autoRemove && (live.head !== null || exitCode !== EXIT_TOYBOX)
    const { executed, started } = live.record
    const begun = executed === undefined ? {} : { started, executed }
    const finished = new Date().toISOString()
    try {
      await cleanUp(
        paths,
        live,
        kept ? { exitCode, oomKilled: false, error: errorChain(told), ...begun, finished } : null,
      )
    } catch (leak) {
      notice(`cleaning up after the failure failed too: ${errorChain(leak)}`)
    }
    throw told
  }
}
