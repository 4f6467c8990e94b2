/** toybox update. */
import { detectCgroups } from "../../cgroup/detect.ts"
import type { RequestedResources } from "../../cgroup/flags.ts"
import { updateContainer } from "../../container/update.ts"
import { UsageError } from "../../errors.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { eachContainer } from "../each.ts"
import { resourceOptions } from "../flags/resources.ts"
import { parseRestartPolicy } from "../flags/restart.ts"
import { LIMIT_OPTIONS } from "./run-options.ts"
import { UPDATE_OPTIONS } from "./update-options.ts"

const isLimit = (name: string) => Object.hasOwn(LIMIT_OPTIONS, name)

/**
 * What the options change of limits that are there. Swap counts on top of memory, or together with it: who changes the one keeps
 * the other, if he has asked for it. Throws UsageError.
 */
function changeOf(argv: ParsedArgv, { resources, options }: RequestedResources, version: 1 | 2): RequestedResources {
  const strings = new Map(argv.strings)
  const { limit, swap } = resources.memory ?? {}
  const ofSwap = strings.has("swap") || strings.has("memory-swap")
  if (ofSwap && !strings.has("mem") && limit !== undefined) strings.set("mem", String(limit))
  if (
    !ofSwap &&
    strings.has("mem") &&
    options["memory.swap"] !== undefined &&
    limit !== undefined &&
    swap !== undefined
  )
    strings.set("swap", swap < 0 ? "-1" : String(swap - limit))
  const asked = resourceOptions({ ...argv, strings }, version)
  const { pids, ...rest } = asked.resources
  return {
    ...asked,
    resources: { ...rest, ...(strings.has("pids") ? { pids } : {}) },
    defaults: asked.defaults.filter((field) => field === "memory.swap" && asked.resources.memory !== undefined),
  }
}

export async function updateCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, UPDATE_OPTIONS)
  const { booleans, strings, typed, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("update")
  const policy = strings.get("restart")
  const restart = policy === undefined ? undefined : (parseRestartPolicy("--restart", policy) ?? null)
  const hasLimits = [...typed.keys()].some(isLimit)
  if (!hasLimits && restart === undefined)
    throw new UsageError("update needs something to change", { hint: "toybox update --mem 1g NAME" })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const version = detectCgroups().mode === "unified" ? 2 : 1
  const limits = (current: RequestedResources) => (hasLimits ? changeOf(argv, current, version) : null)
  return eachContainer("update", rest, (reference) => {
    updateContainer(paths, reference, { limits, restart })
    return reference
  })
}
