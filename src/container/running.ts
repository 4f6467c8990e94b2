/** A container that runs, by name or id. */
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { recover } from "./recover.ts"
import { type ContainerRecord, isAlive, type RunningRecord, readRecord, readRunning, resolveId } from "./state.ts"

export interface RunningContainer {
  id: string
  running: RunningRecord
  record: ContainerRecord
}

/** Puts in order what killed runs have left, and looks. Throws ToyboxError where it does not run. */
export function findRunning(paths: Paths, reference: string): RunningContainer {
  recover(paths)
  const id = resolveId(paths, reference)
  const running = readRunning(paths, id)
  const record = readRecord(paths, id)
  if (!running || !record || !isAlive(running)) {
    throw new ToyboxError(`container ${reference} is not running`, { hint: "toybox ps lists those that run" })
  }
  return { id, running, record }
}
