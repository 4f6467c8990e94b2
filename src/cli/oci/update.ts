/** toybox oci update. */
import { parseSize } from "../../cgroup/units/memory.ts"
import { updateContainer } from "../../container/oci/update.ts"
import { UsageError } from "../../errors.ts"
import { readResources } from "../../oci/read-resources.ts"
import type { LinuxResources } from "../../oci/resources.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { type OciContext, onlyId } from "./context.ts"
import { readJsonFile } from "./json-file.ts"
import { UPDATE_OPTIONS } from "./options.ts"

/** Where the value of an option goes in `linux.resources`. */
const NUMBERS: Readonly<Record<string, readonly [keyof LinuxResources, string]>> = {
  "blkio-weight": ["blockIO", "weight"],
  "cpu-period": ["cpu", "period"],
  "cpu-quota": ["cpu", "quota"],
  "cpu-burst": ["cpu", "burst"],
  "cpu-rt-period": ["cpu", "realtimePeriod"],
  "cpu-rt-runtime": ["cpu", "realtimeRuntime"],
  "cpu-share": ["cpu", "shares"],
  "cpu-idle": ["cpu", "idle"],
  "pids-limit": ["pids", "limit"],
}
const SIZES: Readonly<Record<string, string>> = {
  memory: "limit",
  "memory-reservation": "reservation",
  "memory-swap": "swap",
}
const LISTS: Readonly<Record<string, string>> = { "cpuset-cpus": "cpus", "cpuset-mems": "mems" }

function readSize(option: string, text: string): number {
  const bytes = text === "-1" ? -1 : parseSize(text)
  if (bytes === null) throw new UsageError(`--${option}: "${text}" is not a size`, { hint: "use 500M, bytes, or -1" })
  return bytes
}

function fromOptions({ strings }: ParsedArgv): unknown {
  const resources: Record<string, Record<string, unknown>> = {}
  const put = (group: string, field: string, value: unknown) => {
    resources[group] = { ...resources[group], [field]: value }
  }
  for (const [option, text] of strings) {
    const number = NUMBERS[option]
    if (number) {
      if (!/^-?\d{1,15}$/.test(text)) throw new UsageError(`--${option}: "${text}" is not a whole number`)
      put(number[0], number[1], Number(text))
    }
    const size = SIZES[option]
    if (size) put("memory", size, readSize(option, text))
    const list = LISTS[option]
    if (list) put("cpu", list, text)
  }
  return resources
}

export async function updateCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const argv = parseArgv(words, UPDATE_OPTIONS)
  if (argv.booleans.get("help")) return (await import("./usage.ts")).printOciUsage("update")
  for (const option of ["l3-cache-schema", "mem-bw-schema"]) {
    if (argv.strings.has(option)) throw new UsageError(`--${option}: Intel RDT is not supported`)
  }
  const path = argv.strings.get("resources")
  const value = path === undefined ? fromOptions(argv) : readJsonFile("--resources", path, true)
  updateContainer(root, onlyId("update", argv.rest), readResources(value, "resources"))
  return 0
}
