/** Limits over limits. */
import type { LinuxResources } from "../oci/resources.ts"
import type { RequestedResources } from "./flags.ts"

type Groups = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

interface OfDevice {
  readonly major: number
  readonly minor: number
}

/** A list has one entry for each device, and another device's is no answer to it. */
function mergeField(low: unknown, high: unknown): unknown {
  if (!Array.isArray(low) || !Array.isArray(high)) return high
  const isAsked = ({ major, minor }: OfDevice) =>
    high.some((other: OfDevice) => other.major === major && other.minor === minor)
  return [...low.filter((one: OfDevice) => !isAsked(one)), ...high]
}

/** Field by field, of groups like `memory` and `cpu`. */
export function mergeResources(under: LinuxResources, over: LinuxResources): LinuxResources {
  const [low, high] = [under as Groups, over as Groups]
  const groups = Object.entries(high).map(([group, fields = {}]) => {
    const merged = Object.entries(fields).map(([field, value]) => [field, mergeField(low[group]?.[field], value)])
    return [group, { ...low[group], ...Object.fromEntries(merged) }]
  })
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
