/** Removing the containers that have ended. */
import type { Paths } from "../paths.ts"
import { listContainers, type Summary } from "./list.ts"
import { writtenBytes } from "./observe/size.ts"
import { IsRunning, removeContainer } from "./remove.ts"
import { NoSuchContainer } from "./state.ts"

/** What went: ids, and bytes of what the containers had written. */
export interface PrunedContainers {
  ids: string[]
  bytes: number
}

/** Removes those that do not run, of those that are chosen; one that is started, or removed, meanwhile is passed over. */
export function pruneContainers(paths: Paths, isChosen: (container: Summary) => boolean): PrunedContainers {
  const pruned: PrunedContainers = { ids: [], bytes: 0 }
  for (const summary of listContainers(paths, true)) {
    if ((summary.status !== "exited" && summary.status !== "created") || !isChosen(summary)) continue
    const bytes = writtenBytes(paths, summary.id)
    try {
      removeContainer(paths, summary.id, false)
    } catch (error) {
      if (error instanceof NoSuchContainer || error instanceof IsRunning) continue
      throw error
    }
    pruned.ids.push(summary.id)
    pruned.bytes += bytes
  }
  return pruned
}
