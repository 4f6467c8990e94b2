/** Removing containers. */
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { readLink } from "../../ffi/fs.ts"
import { kill } from "../../ffi/signal.ts"
import { openCgroup } from "../cgroup/manager.ts"
import { ToyboxError, UsageError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { noteAsked } from "./asked.ts"
import { forget } from "./discard.ts"
import { enterRunning } from "./entry.ts"
import { recordEvents } from "./events.ts"
import { recover } from "./recover.ts"
import {
  type ContainerHead,
  hasName,
  isAlive,
  leaveRunning,
  NoSuchContainer,
  type RunningRecord,
  readHead,
  readRunning,
  resolveId,
} from "./state.ts"
import { endRestarting } from "./stop.ts"
import { removeAnonymous } from "./volume-users.ts"

const PATIENCE = 10_000

/** It runs, and was not to be ended. */
export class IsRunning extends ToyboxError {
  constructor(reference: string) {
    super(`container ${reference} is running`, { hint: "end it first, or use rm --force" })
  }
}

/** Kills what runs in it and waits until its own toybox has cleaned up after it. */
function end(paths: Paths, id: string): void {
  const deadline = performance.now() + PATIENCE
  const first = readRunning(paths, id)
  if (first) noteAsked(paths, id, first, { command: "kill", signal: SIGKILL })
  for (;;) {
    const running = readRunning(paths, id)
    if (!running) return
    if (running.restarting) endRestarting(running)
    else if (running.cgroup) openCgroup(running.cgroup).kill()
    else if (isAlive(running)) kill(running.pid, SIGKILL)
    if (performance.now() > deadline) throw new ToyboxError(`container ${id.slice(0, 12)} does not end`)
    Bun.sleepSync(5)
    recover(paths)
  }
}

/** Makes way for a container of that name, be there one that runs, one that does not, or none. Throws UsageError without a name. */
export function removeNamed(paths: Paths, name: string | undefined): void {
  if (name === undefined) throw new UsageError("--replace needs --name, which tells what is replaced")
  // Not whatever an id begins with: a killed rename leaves a name that is nobody's.
  const id = readLink(`${paths.names}/${name}`)
  if (id === null || !hasName(paths, id, name)) return
  try {
    removeContainer(paths, id, true)
  } catch (error) {
    if (!(error instanceof NoSuchContainer)) throw error
  }
}

/** Removes one container by name or id, with `volumes` those of its that have no names; returns the id. Throws where it runs, unless `force`. */
export function removeContainer(paths: Paths, reference: string, force: boolean, volumes = false): string {
  recover(paths)
  const id = resolveId(paths, reference)
  for (const deadline = performance.now() + PATIENCE; ; Bun.sleepSync(5)) {
    const before = readHead(paths, id)
    const lock = enterRunning(paths, id, removal(before))
    if (lock) {
      // On a full disk it has become the entry.
      const head = readHead(paths, id) ?? before
      if (volumes) removeAnonymous(paths, id, head?.volumes)
      forget(paths, id, head?.name ?? "")
      if (head) recordEvents(paths, head, ["destroy"])
      leaveRunning(lock)
      return id
    }
    const running = readRunning(paths, id)
    if (performance.now() > deadline) throw new ToyboxError(`container ${reference} is in the hands of another toybox`)
    if (!running || running.removing) recover(paths)
    else if (force) end(paths, id)
    else throw new IsRunning(reference)
  }
}

/** Among the running ones nobody can start it meanwhile; a killed removal is gone on with (recover). */
function removal(head: ContainerHead | null): RunningRecord {
  const name = head?.name ?? ""
  return { pid: 0, startTime: "", started: "", autoRemove: true, removing: true, name, cgroup: null }
}
