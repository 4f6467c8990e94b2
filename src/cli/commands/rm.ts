/** toybox rm. */

import { emptyTrash } from "../../container/discard.ts"
import { isUp, listContainers } from "../../container/list.ts"
import { removeContainer } from "../../container/remove.ts"
import { allIds, NoSuchContainer, readHead } from "../../container/state.ts"
import { UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { eachContainer } from "../each.ts"
import { RM_OPTIONS } from "./rm-options.ts"

/** Those that do not run; with `force` all, be they just starting or ending. */
function removable(paths: Paths, force: boolean): string[] {
  const ended = listContainers(paths, true).filter((summary) => !isUp(summary))
  return force ? allIds(paths).filter((id) => readHead(paths, id) !== null) : ended.map(({ id }) => id)
}

export async function rmCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, RM_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("rm")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  removeAbandonedLayers(paths)
  emptyTrash(paths)
  const force = booleans.get("force") ?? false
  const all = booleans.get("all") ?? false
  if (all && rest.length > 0) throw new UsageError("rm --all takes no names")
  const chosen = all ? removable(paths, force) : rest
  if (all && chosen.length === 0) return 0
  const ifExists = booleans.get("if-exists") ?? false
  return eachContainer("rm", chosen, (reference) => {
    try {
      removeContainer(paths, reference, force, booleans.get("volumes") ?? false)
    } catch (error) {
      if (!(ifExists && error instanceof NoSuchContainer)) throw error
    }
    return reference
  })
}
