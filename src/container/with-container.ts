/** Changing what is written down of containers that are there, be they running or not. */
import { close } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { lockChanges } from "./change-lock.ts"
import { enterAgain } from "./new-container.ts"
import { recover } from "./recover.ts"
import {
  type ContainerRecord,
  leaveRunning,
  NoSuchContainer,
  type RunningRecord,
  readHead,
  readRecord,
  readRunning,
  resolveId,
  writeRecord,
} from "./state.ts"
import { readStored, type StoredRequest } from "./stored-request.ts"
import { isUp } from "./while-up.ts"

const PATIENCE = 10_000

/** Changes with what a container is started again; where that fails, it is as before. Within withContainer. */
export function changeStored(
  paths: Paths,
  id: string,
  change: (record: ContainerRecord, stored: StoredRequest) => [ContainerRecord, StoredRequest],
): void {
  const record = readRecord(paths, id)
  if (record === null) throw new NoSuchContainer(id)
  const stored = readStored(paths, id, record.name)
  try {
    writeRecord(paths, ...change(record, stored))
  } catch (error) {
    // One of two files may have been written, as on a full disk.
    writeRecord(paths, record, stored)
    throw error
  }
}

/** Does `last` when `action` has done, which may be a promise. */
function finishing<T>(action: () => T, last: () => void): T {
  let result: T
  try {
    result = action()
  } catch (error) {
    last()
    throw error
  }
  if (result instanceof Promise) return result.finally(last) as T
  last()
  return result
}

/** Does the one or the other, with nobody starting, changing or removing it meanwhile. Throws ToyboxError. */
export function withContainer<T>(
  paths: Paths,
  reference: string,
  { up, down }: { up: (id: string, record: RunningRecord) => T; down: (id: string) => T },
): T {
  for (const deadline = performance.now() + PATIENCE; ; Bun.sleepSync(5)) {
    recover(paths)
    const id = resolveId(paths, reference)
    const changes = lockChanges(paths, id)
    const head = readHead(paths, id)
    const running = readRunning(paths, id)
    const entered = head && !running ? enterAgain(paths, head)?.lock : undefined
    const release = () => {
      if (entered) leaveRunning(entered)
      if (changes !== null) close(changes)
    }
    if (running && isUp(running)) return finishing(() => up(id, running), release)
    // Its supervisor sleeps, and waits for this before it reads what is written down and starts it again (restart.ts).
    if (entered || (head && running?.restarting)) return finishing(() => down(id), release)
    release()
    if (performance.now() > deadline) throw new ToyboxError(`container ${reference} is in the hands of another toybox`)
  }
}
