/** toybox rm. */
import { listContainers } from "../../container/list.ts"
import { removeContainer } from "../../container/remove.ts"
import { emptyTrash, NoSuchContainer } from "../../container/state.ts"
import { UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { eachContainer } from "../each.ts"
import { RM_OPTIONS } from "./rm-options.ts"

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
  const chosen = all
    ? listContainers(paths, true)
        .filter(({ status }) => force || status === "exited")
        .map(({ id }) => id)
    : rest
  if (all && chosen.length === 0) return 0
  const ifExists = booleans.get("if-exists") ?? false
  return eachContainer("rm", chosen, (reference) => {
    try {
      removeContainer(paths, reference, force)
    } catch (error) {
      if (!(ifExists && error instanceof NoSuchContainer)) throw error
    }
    return reference
  })
}
