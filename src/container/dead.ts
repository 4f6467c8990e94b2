/** Who of the running ones has been left behind by a killed toybox. What is done about it is loaded only where there is one. */
import { listDir } from "../../ffi/directory.ts"
import { close } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import { lockDead } from "./state.ts"

const SOME = 32

/** Whether a running entry's toybox is dead, or the entry is a half-made one, whose maker may be. */
function mayBeDead(paths: Paths, name: string): boolean {
  if (name.startsWith(".")) return true
  const lock = lockDead(paths, name)
  if (lock) close(lock.fd)
  return lock !== null
}

/** Of many running containers only some are looked at, others each time: a start costs the same however many there are. */
function some(names: readonly string[]): readonly string[] {
  if (names.length <= SOME) return names
  const from = Math.floor(Math.random() * names.length)
  return [...names.slice(from), ...names.slice(0, from)].slice(0, SOME)
}

async function recoverOf(paths: Paths, names: readonly string[]): Promise<void> {
  const dead: string[] = []
  for (const name of names) if (mayBeDead(paths, name)) dead.push(name)
  if (dead.length > 0) (await import("./recover.ts")).recoverNames(paths, dead)
}

/** Puts in order what killed toyboxes have left, of some of the running containers. */
export const recoverSome = (paths: Paths): Promise<void> => recoverOf(paths, some(listDir(paths.running)))

/** The same of all: as recover. */
export const recoverDead = (paths: Paths): Promise<void> => recoverOf(paths, listDir(paths.running))
