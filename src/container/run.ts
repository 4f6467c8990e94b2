/** A container from its first directory to its last: prepare, launch, supervise, clean up. */
import { EXIT_TOYBOX, errorChain, ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { isNew } from "../plan/namespaces.ts"
import { isKill, readAsked } from "./asked.ts"
import { cleanUp } from "./clean-up.ts"
import { tellNeighbours } from "./neighbours.ts"
import { enter } from "./new-container.ts"
import { prepareFiles } from "./own-files.ts"
import { makeSpec } from "./prepare.ts"
import type { ContainerRequest } from "./request.ts"
import { describeEnding, resultOf } from "./result.ts"
import { newRoot } from "./root.ts"
import { start } from "./start.ts"
import type { ContainerResult } from "./state.ts"
import type { Ending } from "./supervise.ts"

/** Runs a container in the foreground; returns the exit code for toybox. `signalFd` is of takeSignals. */
export async function run(request: ContainerRequest, paths: Paths, signalFd: number): Promise<number> {
  // The caller's would close files to the users of the container; the modes below are meant as they stand.
  process.umask(0o022)
  const live = enter(request, paths)
  const { resultFd } = request
  let exitCode: number
  let result: ContainerResult | null = null
  let passRest: Ending["passRest"]
  try {
    if (request.ports) (await import("./ports.ts")).claimForContainer(request.ports, request, paths, live.record)
    if (request.volumes.length > 0) live.held = (await import("./volumes.ts")).takeVolumes(request, paths, live)
    if (request.networks.length > 0) live.places = await (await import("./network.ts")).takePlaces(request, paths, live)
    await prepareFiles(request, paths, live)
    tellNeighbours(paths, live.record.networks ?? [])
    const root = await newRoot(request, live.directory)
    live.root = root
    const spec = makeSpec(request, live.id, live.directory)
    const { ending, manager } = await start(request, paths, live, root, spec, signalFd)
    passRest = ending.passRest
    live.ended = isNew(spec, "pid")
    const told = describeEnding(ending, manager, isKill(readAsked(paths, live.id, live.record.started)))
    exitCode = told.exitCode
    live.outcome = told
    if (told.message && !request.quiet) notice(told.message)
    // Of what is removed at once nobody asks what it used, unless somebody does.
    if (!request.autoRemove || resultFd !== null) result = resultOf(ending, live.record, manager, told)
  } catch (error) {
    const { explainFailure } = await import("../launch/report.ts")
    const told = explainFailure(error)
    // A command that cannot be run leaves a container to look at, as docker has it; a container that could not be made, none.
    const kept = live.recorded && !request.autoRemove && told instanceof ToyboxError && told.exitCode !== EXIT_TOYBOX
    const finished = new Date().toISOString()
    try {
      await cleanUp(
        paths,
        live,
        kept ? { exitCode: told.exitCode, oomKilled: false, error: told.message, finished } : null,
      )
    } catch (leak) {
      // Both are told; the first one is why.
      notice(`cleaning up after the failure failed too: ${errorChain(leak)}`)
    }
    throw told
  }
  await cleanUp(paths, live, request.autoRemove ? null : result)
  if (resultFd !== null && result) (await import("./result-fd.ts")).tellResult(resultFd, live, result)
  passRest?.()
  return exitCode
}
