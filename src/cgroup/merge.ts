/** Limits over limits. */
import type { LinuxResources } from "../oci/resources.ts"
import type { RequestedResources } from "./flags.ts"

type Groups = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

/** Field by field, of groups like `memory` and `cpu`. */
export function mergeResources(under: LinuxResources, over: LinuxResources): LinuxResources {
  const [low, high] = [under as Groups, over as Groups]
  const groups = Object.keys(high).map((group) => [group, { ...low[group], ...high[group] }])
  return { ...under, ...Object.fromEntries(groups) }
}

/** What is asked of a container from now on. */
export const mergeRequested = (before: RequestedResources, change: RequestedResources): RequestedResources => ({
  resources: mergeResources(before.resources, change.resources),
  options: { ...before.options, ...change.options },
  defaults: [...new Set([...before.defaults, ...change.defaults])].filter(
    (field) =>
      change.options[field] === undefined && (change.defaults.includes(field) || before.options[field] === undefined),
  ),
})
