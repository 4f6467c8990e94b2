/** Waiting for what becomes of a container: inotify(7), with a look now and then for what a killed toybox has left. */
import { call, callResult, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import {
  IN_CLOEXEC,
  IN_CREATE,
  IN_DELETE,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_NONBLOCK,
} from "../../ffi/constants/inotify.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { close, exists } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { lastExitCode } from "./event-log.ts"
import { readHealth } from "./health-file.ts"
import { recover } from "./recover.ts"
import { containerPath, isAlive, readHead, readResult, readRunning, resolveId } from "./state.ts"
import { isOther, waitEnd } from "./stop.ts"

/** docker's conditions, and podman's. */
export const CONDITIONS = [
  ...(["not-running", "next-exit", "removed"] as const),
  ...(["stopped", "exited", "running", "healthy", "unhealthy"] as const),
] as const

export type Condition = (typeof CONDITIONS)[number]

const LOOK_EVERY = 500
// Between its end and its start one that is restarted does not run.
const RESTARTING = 2000
const CHANGES = IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO

/** Waits until `done` gives something, which is asked again when anything in the directories changes. */
function until<T>(paths: Paths, directories: readonly string[], done: () => T | null): T {
  const changes = call("inotify_init1", IN_CLOEXEC | IN_NONBLOCK)
  try {
    for (const directory of directories) callResult("inotify_add_watch", changes, directory, CHANGES)
    for (;;) {
      const found = done()
      if (found !== null) return found
      poll([{ fd: changes, events: POLLIN }], LOOK_EVERY)
      callResult("read", changes, scratch.address, SCRATCH_SIZE)
      recover(paths)
    }
  } finally {
    close(changes)
  }
}

/** The exit code of one that has ended, though it may be removed by now. */
function exitCodeOf(paths: Paths, id: string, reference: string): number {
  const code = readResult(paths, id)?.exitCode ?? lastExitCode(paths, id)
  if (code !== null) return code
  // As docker has it, one that was not started yet is not waited for.
  if (readHead(paths, id)?.unstarted) return 0
  throw new ToyboxError(`container ${reference} is removed, and its exit code with it`)
}

/** Waits until a container does not run, whatever its policy makes of that; its exit code, be it removed by then. Throws ToyboxError. */
export function awaitEnd(paths: Paths, id: string, reference: string): number {
  recover(paths)
  waitEnd(paths, id, null, readRunning(paths, id)?.started)
  return exitCodeOf(paths, id, reference)
}

/**
 * Waits until a container is healthy, or is not. One that has ended will not be, unless it is being started again; one that was
 * not started yet is waited for.
 */
function awaitHealth(paths: Paths, id: string, reference: string, status: "healthy" | "unhealthy"): number {
  if (!readHead(paths, id)?.detached?.health)
    throw new ToyboxError(`nobody asks for the health of container ${reference}`, {
      hint: "run -d --health-cmd COMMAND",
    })
  let endedAt: number | null = null
  return until(paths, [paths.running, containerPath(paths, id)], () => {
    const running = readRunning(paths, id)
    if (running && readHealth(paths, id)?.status === status) return 0
    const head = readHead(paths, id)
    if (head === null && running === null) throw new ToyboxError(`container ${reference} was removed`)
    if (running || head?.unstarted) endedAt = null
    else endedAt ??= performance.now()
    if (endedAt !== null && performance.now() > endedAt + RESTARTING)
      throw new ToyboxError(`container ${reference} has ended, and was not ${status} before`, {
        hint: `toybox why ${reference} tells how, toybox logs ${reference} what it has said`,
      })
    return null
  })
}

/** Waits until a container is as `condition` says; returns its exit code, 0 where it runs. Throws ToyboxError. */
export function awaitContainer(paths: Paths, reference: string, condition: Condition): number {
  recover(paths)
  const id = resolveId(paths, reference)
  // With podman one that was not started yet is waited for.
  const isToCome = readHead(paths, id)?.unstarted === true && readRunning(paths, id) === null
  const isEnd = condition === "not-running" || (!isToCome && (condition === "stopped" || condition === "exited"))
  if (isEnd) return awaitEnd(paths, id, reference)
  if (condition === "healthy" || condition === "unhealthy") return awaitHealth(paths, id, reference, condition)
  const places = [paths.running, paths.containers, containerPath(paths, id)]
  const isGone = () => !exists(containerPath(paths, id)) && readRunning(paths, id) === null
  if (condition === "running") {
    return until(paths, places, () => {
      const running = readRunning(paths, id)
      if (running && isAlive(running) && running.executed !== undefined) return 0
      if (isGone()) throw new ToyboxError(`container ${reference} was removed`)
      return null
    })
  }
  if (condition === "removed") return until(paths, places, () => (isGone() ? exitCodeOf(paths, id, reference) : null))
  const now = readRunning(paths, id)
  const run = now?.restarting ? undefined : now?.started
  const before = readResult(paths, id)?.finished
  return until(paths, places, () => {
    const running = readRunning(paths, id)
    const result = readResult(paths, id)
    // The result comes first: until all is cleaned up it cannot be removed.
    const isOver = running === null || isOther(running, result?.started)
    if (result && result.finished !== before && isOver) return result.exitCode
    // Its result went when it was started again.
    if (run !== undefined && running && isOther(running, run)) return exitCodeOf(paths, id, reference)
    return isGone() ? exitCodeOf(paths, id, reference) : null
  })
}
