/** toybox rm. */

import { emptyTrash } from "../../container/discard.ts"
import { isUp, listContainers } from "../../container/list.ts"
import { removeContainer } from "../../container/remove.ts"
import { allIds, NoSuchContainer, readHead } from "../../container/state.ts"
import { stopContainer } from "../../container/stop.ts"
import { UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { chosenContainers, isSearch } from "../chosen.ts"
import { eachContainer } from "../each.ts"
import { seconds } from "../flags/process.ts"
import { RM_OPTIONS } from "./rm-options.ts"

/** Those that do not run; with `force` all, be they just starting or ending. */
function removable(paths: Paths, force: boolean): string[] {
  const ended = listContainers(paths, true).filter((summary) => !isUp(summary))
  return force ? allIds(paths).filter((id) => readHead(paths, id) !== null) : ended.map(({ id }) => id)
}

export async function rmCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, RM_OPTIONS)
  const { booleans, lists, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("rm")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  removeAbandonedLayers(paths)
  emptyTrash(paths)
  const force = booleans.get("force") ?? false
  const time = strings.get("time")
  if (time !== undefined && !force) throw new UsageError("rm --time needs --force: what runs is not removed otherwise")
  const wish = time === undefined ? null : { seconds: seconds("--time", time), signal: null }
  // Those that ended, or are just starting or ending, where nothing else chooses.
  const alone = booleans.get("all") && rest.length + lists.size === 0 && !booleans.get("latest")
  const chosen = alone
    ? removable(paths, force)
    : await chosenContainers("rm", paths, argv, (summary) => !booleans.get("all") || force || !isUp(summary))
  if (chosen === null || (alone && chosen.length === 0)) return 0
  const ifExists = (booleans.get("if-exists") ?? false) || isSearch(argv)
  const remove = (reference: string) => {
    try {
      if (wish) stopContainer(paths, reference, wish)
      removeContainer(paths, reference, force, booleans.get("volumes") ?? false)
    } catch (error) {
      // One that removes itself has gone when it is stopped.
      if (!((ifExists || wish) && error instanceof NoSuchContainer)) throw error
    }
    return reference
  }
  // As docker and podman have it.
  return eachContainer("rm", chosen, remove, (error) => !(force && error instanceof NoSuchContainer))
}
