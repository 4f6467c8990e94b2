/** A container in the foreground that has a supervisor all the same: one can detach from it, and its health is looked after. */
import type { Paths } from "../paths.ts"
import { connectTo, stayWith } from "./attach.ts"
import { startEntered } from "./detached.ts"
import { enter } from "./new-container.ts"
import type { ContainerRequest } from "./request.ts"

/**
 * Makes and starts a container, and stays with it until it ends (its exit code) or the keys for detaching are typed (0). It ends
 * with this toybox otherwise, unless signals are no business of its: then this toybox alone heeds them. `signalFd` is of
 * takeSignals.
 */
export async function runAttached(request: ContainerRequest, paths: Paths, signalFd: number): Promise<number> {
  process.umask(0o022)
  const live = enter(request, paths)
  let socket = -1
  await startEntered(request, paths, live, (id) => {
    socket = connectTo(paths, id)
  })
  const { interactive, detachKeys, attach, ignoresSignals = false } = request
  const input = interactive && (attach?.includes("stdin") ?? true)
  const hidden = [
    (attach?.includes("stdout") ?? true) ? [] : [1],
    (attach?.includes("stderr") ?? true) ? [] : [2],
  ].flat()
  const options = {
    input,
    inputEnd: true,
    sigProxy: !ignoresSignals,
    detachKeys,
    hidden,
    whole: true,
    holds: !ignoresSignals,
  }
  return stayWith(paths, live.record.name, { id: live.id, socket }, options, signalFd)
}
