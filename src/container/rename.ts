/** Another name for a container. */
import { close } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { lockChanges } from "./change-lock.ts"
import { recordEvents } from "./events.ts"
import { changeName } from "./name.ts"
import { tellNeighbours } from "./neighbours.ts"
import { enterAgain } from "./new-container.ts"
import { recover } from "./recover.ts"
import { isAlive, leaveRunning, NoSuchContainer, readHead, readRunning, resolveId, writeHead } from "./state.ts"

const PATIENCE = 10_000

/** Gives a container, be it running or not, another name; that is taken before the old one is given back. Throws ToyboxError. */
export function renameContainer(paths: Paths, reference: string, name: string): void {
  recover(paths)
  const id = resolveId(paths, reference)
  for (const deadline = Date.now() + PATIENCE; ; Bun.sleepSync(5)) {
    const changes = lockChanges(paths, id)
    const head = readHead(paths, id)
    if (changes === null || head === null) throw new NoSuchContainer(reference)
    const running = readRunning(paths, id)
    // The record of one whose command runs is written by nobody else; any other is kept from being started or removed.
    const isUp = running !== null && isAlive(running) && running.executed !== undefined
    const lock = isUp ? null : enterAgain(paths, head)?.lock
    if (lock === undefined) {
      close(changes)
      if (Date.now() > deadline) throw new ToyboxError(`container ${reference} is in the hands of another toybox`)
      recover(paths)
      continue
    }
    try {
      if (head.name !== name) {
        changeName(paths, id, { from: head.name, to: name }, () => writeHead(paths, { ...head, name }))
        recordEvents(paths, { ...head, name }, ["rename", { oldName: head.name }])
        if (isUp) tellNeighbours(paths, running.networks ?? [])
      }
    } finally {
      if (lock) leaveRunning(lock)
      close(changes)
    }
    return
  }
}
