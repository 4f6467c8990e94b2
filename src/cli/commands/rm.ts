/** toybox rm. */
import { listContainers } from "../../container/list.ts"
import { removeContainer } from "../../container/remove.ts"
import { emptyTrash } from "../../container/state.ts"
import { errorChain, errorHint, UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { logger, print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
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
        .filter(({ status }) => force || status !== "running")
        .map(({ id }) => id)
    : rest
  if (!all && chosen.length === 0)
    throw new UsageError("rm needs a container's name or id", { hint: "toybox ps -a lists them" })
  let failed = false
  // One that fails does not keep the others.
  for (const reference of chosen) {
    try {
      removeContainer(paths, reference, force)
      print([reference])
    } catch (error) {
      failed = true
      const log = await logger()
      log.error(errorChain(error))
      const hint = errorHint(error)
      if (hint) log.error(`hint: ${hint}`)
    }
  }
  return failed ? 1 : 0
}
