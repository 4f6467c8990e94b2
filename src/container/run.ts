/** A container from its first directory to its last: prepare, launch, supervise, clean up. */
import { close } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { EXIT_TOYBOX, errorChain, ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import { overlayLayout } from "../overlay/layout.ts"
import type { Paths } from "../paths.ts"
import { writeContainerFiles } from "./files.ts"
import { proposeName } from "./names.ts"
import { effectiveHostname, makeSpec } from "./prepare.ts"
import type { ContainerRequest } from "./request.ts"
import { describeEnding } from "./result.ts"
import { newRoot } from "./root.ts"
import { hasOwnPids, type Live, start } from "./start.ts"
import {
  type ContainerResult,
  enterRunning,
  forget,
  leaveRunning,
  makeContainerDirectory,
  newId,
  type RunningRecord,
  releaseName,
  takeName,
  updateRunning,
  writeResult,
} from "./state.ts"

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
      root: null,
      manager: null,
      ended: false,
    }
  } catch (error) {
    releaseName(paths, record.name, id)
    leaveRunning(lock)
    throw error
  }
}

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
  if (live.root) close(live.root.fd)
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
    await writeContainerFiles({
      directory: live.directory,
      hostname: effectiveHostname(request, live.id),
      hostNetwork: request.process.namespaces.network?.mode === "host",
      names: request.names,
    })
    const root = await newRoot(request, live.directory)
    live.root = root
    const spec = makeSpec(request, live.id, live.directory)
    const { ending, manager } = await start(request, paths, live, root, spec, signalFd)
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
