/** --pid, --ipc, --uts, --cgroupns, --time: options → namespace modes. */
import { UsageError } from "../../errors.ts"
import type { NamespaceType } from "../../oci/runtime.ts"
import type { NamespaceMode, RunningContainer } from "../../spec/request.ts"
import type { ParsedArgv } from "../argv.ts"

const OPTIONS: readonly (readonly [string, NamespaceType])[] = [
  ["pid", "pid"],
  ["ipc", "ipc"],
  ["uts", "uts"],
  ["cgroupns", "cgroup"],
  ["time", "time"],
]

// docker's other words for the same.
const PRIVATE: Record<string, readonly string[]> = { ipc: ["private", "none", "shareable"] }

/** Reads all modes; `running` gives the pid of a running container. Throws UsageError. */
export function namespaceModes(
  argv: ParsedArgv,
  running: (reference: string) => RunningContainer,
): Partial<Record<NamespaceType, NamespaceMode>> {
  const modes: Partial<Record<NamespaceType, NamespaceMode>> = {}
  for (const [option, type] of OPTIONS) {
    const text = argv.strings.get(option)
    const shown = argv.typed.get(option) ?? `--${option}`
    if (text === undefined) continue
    if ((PRIVATE[option] ?? ["private"]).includes(text)) modes[type] = { mode: "private" }
    else if (text === "host") modes[type] = { mode: "host" }
    else if (text.startsWith("container:"))
      modes[type] = { mode: "container", ...running(text.slice("container:".length)) }
    else {
      throw new UsageError(`${shown}: "${text}" is not known (use private, host or container:ID)`)
    }
  }
  return modes
}
