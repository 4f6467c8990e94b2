/** From a prepared container to the end of its command, in the foreground. */
import { close } from "../../ffi/fs.ts"
import { isTerminal } from "../../ffi/tty.ts"
import type { CgroupManager } from "../cgroup/manager.ts"
import type { Reports } from "../launch/index.ts"
import { notice } from "../log.ts"
import type { Spec } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { isNew } from "../plan/namespaces.ts"
import { bringUp, type Live, letOthersMount, rememberExec, rememberPid } from "./bring-up.ts"
import type { ContainerRequest } from "./request.ts"
import { copiedRoot, overlayRefusal, type Root } from "./root.ts"
import { updateRunning } from "./state.ts"
import { openStdio } from "./stdio.ts"
import { type Ending, supervise } from "./supervise.ts"

/** Those of a container in the foreground: what opens them is there beforehand. */
async function watchedDoors(paths: Paths, { id, record }: Live) {
  const doors = (await import("./doors.ts")).watchDoors(paths, id, record)
  const { startForwarder } = await import("./forwarder.ts")
  return doors && { doors, start: startForwarder }
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
  const { attach, interactive } = request
  const stdio = openStdio({ terminal: request.process.terminal, interactive, attach })
  const reports: Reports = { failures: [] }
  const joins = request.process.namespaces.pid?.mode === "container"
  const begin = joins ? (await import("./unseen.ts")).bringUpUnseen : bringUp
  const { one, two, pid, reportFd, traceFd, manager } = await begin(request, paths, live, {
    root,
    spec,
    stdio,
    reports,
  })
  const published = request.ports ? await watchedDoors(paths, live) : null
  const ending = supervise({
    pid,
    published,
    signalFd,
    reportFd,
    reports,
    traced: request.trace,
    pumps: stdio.pumps,
    terminal:
      stdio.socket === null
        ? null
        : // Who detaches leaves the container to a supervisor, which this one has not (attached.ts).
          {
            socket: stdio.socket,
            // Without -i the caller's terminal stays his, with Ctrl-C for this toybox; what is no terminal can be typed by nobody.
            input: (attach?.includes("stdin") ?? true) && (interactive || !isTerminal(0)),
            shown: attach?.includes("stdout") ?? true,
            detachKeys: [],
            detached: () => {},
          },
    isInit: !request.init && isNew(spec, "pid"),
    isExecAttempt: (index) => two.calls[index - one.calls.length]?.name === "execve",
    onExec: (actual) => {
      rememberExec(paths, live)
      if (actual !== pid) rememberPid(live, actual)
      // From here on others may change it: network connect, update.
      else updateRunning(live.lock, live.record)
      letOthersMount(live)
    },
    notice,
  })
  stdio.ended?.()
  request.passedFds?.ended()
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
      const copy = await copiedRoot(request, live.directory, refusal)
      close(root.fd)
      live.root = copy
      return start(request, paths, live, copy, spec, signalFd)
    }
    const { launchError } = await import("./launch-error.ts")
    throw launchError(one, two, ending.reports, root.fd)
  }
  return { ending, manager }
}
