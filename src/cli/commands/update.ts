/** toybox update. */
import { detectCgroups } from "../../cgroup/detect.ts"
import type { RequestedResources } from "../../cgroup/flags.ts"
import { mergeRequested } from "../../cgroup/merge.ts"
import { onlineList } from "../../cgroup/online.ts"
import { LEAST_MEMORY } from "../../cgroup/units/memory.ts"
import { updateContainer } from "../../container/update.ts"
import { UsageError } from "../../errors.ts"
import type { LinuxResources } from "../../oci/resources.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { eachContainer } from "../each.ts"
import { withRareLimits } from "../flags/rare-limits.ts"
import { resourceOptions } from "../flags/resources.ts"
import { parseRestartPolicy } from "../flags/restart.ts"
import { LIMIT_OPTIONS } from "./limit-options.ts"
import { UPDATE_OPTIONS } from "./update-options.ts"

const NO_LIMIT = /^(0|-1|max|unlimited)$/

/** Texts that lift a limit, and to what. */
const LIFTS: Readonly<Record<string, { text: RegExp; to: () => LinuxResources; field: string }>> = {
  cpu: { text: NO_LIMIT, to: () => ({ cpu: { quota: -1, period: 100_000 } }), field: "cpu.quota" },
  cpus: { text: NO_LIMIT, to: () => ({ cpu: { quota: -1, period: 100_000 } }), field: "cpu.quota" },
  mem: { text: NO_LIMIT, to: () => ({ memory: { limit: -1, swap: -1 } }), field: "memory.limit" },
  cpuset: { text: /^$/, to: () => ({ cpu: { cpus: onlineList("cpu") } }), field: "cpu.cpus" },
  "cpuset-mems": { text: /^$/, to: () => ({ cpu: { mems: onlineList("node") } }), field: "cpu.mems" },
}

/** Takes the limits that are to be lifted out of the options. */
function liftsIn({ strings, typed }: ParsedArgv): { change: RequestedResources; rest: Map<string, string> } {
  const rest = new Map(strings)
  let change: RequestedResources = { resources: {}, options: {}, defaults: [] }
  for (const [name, { text, to, field }] of Object.entries(LIFTS)) {
    const given = strings.get(name)
    if (given === undefined || !text.test(given)) continue
    rest.delete(name)
    const option = typed.get(name) ?? `--${name}`
    change = mergeRequested(change, { resources: to(), options: { [field]: option }, defaults: [] })
  }
  return { change, rest }
}

const isLimit = (name: string) => Object.hasOwn(LIMIT_OPTIONS, name)

/**
 * What the options change of limits that are there. Swap counts on top of memory, or together with it: who changes the one keeps
 * the other, if he has asked for it. Throws UsageError.
 */
function changeOf(argv: ParsedArgv, { resources, options }: RequestedResources, version: 1 | 2): RequestedResources {
  const { change: lifted, rest: strings } = liftsIn(argv)
  const { limit: had, swap } = resources.memory ?? {}
  // Beside none there is no swap to be limited.
  const limit = lifted.resources.memory || (had ?? -1) < 0 ? undefined : had
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
  const usual = mergeRequested(lifted, {
    ...asked,
    resources: { ...rest, ...(strings.has("pids") ? { pids } : {}) },
    defaults: asked.defaults.filter((field) => field === "memory.swap" && asked.resources.memory !== undefined),
  })
  return withRareLimits(argv, usual, version, resources)
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
  // What is wrong whatever the container has is told before any is touched.
  limits({ resources: { memory: { limit: LEAST_MEMORY } }, options: {}, defaults: [] })
  return eachContainer("update", rest, (reference) => {
    updateContainer(paths, reference, { limits, restart })
    return reference
  })
}
