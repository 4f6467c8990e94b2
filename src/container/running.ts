/** A container that runs, by name or id. */
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { recoverDead } from "./dead.ts"
import { type ContainerRecord, isAlive, type RunningRecord, readRecord, readRunning, resolveId } from "./state.ts"

export interface RunningContainer {
  id: string
  running: RunningRecord
  record: ContainerRecord
}

/** A container that has ended, or was not started; its policy may start it again. */
export class NotRunning extends ToyboxError {
  constructor(reference: string, running: RunningRecord | null = null) {
    if (running?.restarting)
      super(`container ${reference} is restarting`, { hint: "wait until it runs; toybox logs may tell why it ends" })
    else super(`container ${reference} is not running`, { hint: "toybox ps lists those that run" })
  }
}

/** A container whose processes were told to stay where they are. */
export class Paused extends ToyboxError {
  constructor(reference: string) {
    super(`container ${reference} is paused`, { hint: `toybox unpause ${reference}` })
  }
}

const PATIENCE = 10_000
const LOOK_EVERY = 5

/** Puts in order what killed runs have left, and looks. Throws ToyboxError where it does not run. */
export async function findRunning(paths: Paths, reference: string): Promise<RunningContainer> {
  await recoverDead(paths)
  return lookUpRunning(paths, reference)
}

/**
 * Only looks. One that is just being started is waited for: before its command is executed its process has the machine's root, or
 * namespaces, and who joined it would be there. Throws ToyboxError where it does not run.
 */
export function lookUpRunning(paths: Paths, reference: string): RunningContainer {
  const id = resolveId(paths, reference)
  for (const deadline = performance.now() + PATIENCE; ; Bun.sleepSync(LOOK_EVERY)) {
    const running = readRunning(paths, id)
    if (!running || !isAlive(running)) throw new NotRunning(reference, running)
    if (running.executed !== undefined) {
      const record = readRecord(paths, id)
      if (record === null) throw new NotRunning(reference)
      return { id, running, record }
    }
    if (performance.now() > deadline)
      throw new ToyboxError(`container ${reference} is still being started`, { hint: "try again later" })
  }
}
