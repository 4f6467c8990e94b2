/** Removing containers. */
import { SIGKILL } from "../../ffi/constants/signal.ts"
import { kill } from "../../ffi/signal.ts"
import { openCgroup } from "../cgroup/manager.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { recover } from "./recover.ts"
import { discard, isAlive, readHead, readRunning, resolveId } from "./state.ts"

const PATIENCE = 10_000

/** Kills what runs in it and waits until its own toybox has cleaned up after it. */
function end(paths: Paths, id: string): void {
  const deadline = Date.now() + PATIENCE
  for (;;) {
    const running = readRunning(paths, id)
    if (!running) return
    if (running.cgroup) openCgroup(running.cgroup).kill()
    else if (isAlive(running)) kill(running.pid, SIGKILL)
    if (Date.now() > deadline) throw new ToyboxError(`container ${id.slice(0, 12)} does not end`)
    Bun.sleepSync(5)
    recover(paths)
  }
}

/** Removes one container by name or id; returns the id. Throws where it runs, unless `force`. */
export function removeContainer(paths: Paths, reference: string, force: boolean): string {
  recover(paths)
  const id = resolveId(paths, reference)
  if (readRunning(paths, id)) {
    if (!force) {
      throw new ToyboxError(`container ${reference} is running`, { hint: "end it first, or use rm --force" })
    }
    end(paths, id)
  }
  discard(paths, id, readHead(paths, id)?.name ?? "")
  return id
}
