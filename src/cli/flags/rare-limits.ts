/** The limits that few ask for: read, and loaded, only where one of them may be given. */
import type { Flag, RequestedResources } from "../../cgroup/flags.ts"
import { mergeRequested } from "../../cgroup/merge.ts"
import { type RareFlags, rareResources } from "../../cgroup/rare-flags.ts"
import { notice } from "../../log.ts"
import type { LinuxResources } from "../../oci/resources.ts"
import type { ParsedArgv } from "../argv.ts"
import { flagFacts, flagOf } from "./resources.ts"

const SINGLE = [
  ["cpu-period", "cpuPeriod"],
  ["cpu-quota", "cpuQuota"],
  ["cpu-rt-period", "realtimePeriod"],
  ["cpu-rt-runtime", "realtimeRuntime"],
  ["memory-swappiness", "swappiness"],
] as const

function flagsIn(argv: ParsedArgv): RareFlags {
  const { strings, lists, booleans, typed } = argv
  const found: { [K in (typeof SINGLE)[number][1]]?: Flag } = {}
  for (const [name, key] of SINGLE) {
    const text = strings.get(name)
    // Docker's word for what is the kernel's own.
    if (name === "memory-swappiness" && text === "-1") continue
    if (text !== undefined) found[key] = flagOf(argv, name, text)
  }
  const amount = typed.get("cpu") ?? typed.get("cpus")
  const weights = lists.get("blkio-weight-device") ?? []
  return {
    ...found,
    ...(amount === undefined ? {} : { cpuAmount: amount }),
    ...(booleans.get("oom-kill-disable") ? { oomKillDisable: "--oom-kill-disable" } : {}),
    blkioWeightDevice: weights.map((text) => flagOf(argv, "blkio-weight-device", text)),
  }
}

/** The usual limits (`requested`) and these; `had` is what a container that is changed has. Throws UsageError. */
export function withRareLimits(
  argv: ParsedArgv,
  requested: RequestedResources,
  version: 1 | 2,
  had: LinuxResources = {},
): RequestedResources {
  const flags = flagsIn(argv)
  const rare = rareResources(flags, flagFacts(version), had)
  if (flags.oomKillDisable && !requested.resources.memory?.limit && !argv.booleans.get("quiet"))
    notice("--oom-kill-disable without --mem: what takes all the memory of this machine is not killed either")
  return mergeRequested(requested, rare)
}
