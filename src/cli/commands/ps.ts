/** toybox ps. */
import { listContainers, type Summary } from "../../container/list.ts"
import { UsageError } from "../../errors.ts"
import { removeAbandonedBases } from "../../image/base.ts"
import { removeAbandonedLayers } from "../../image/cache/layers.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { ago, shown, table } from "../table.ts"
import { PS_OPTIONS } from "./ps-options.ts"

function status({ status, exitCode, finished, oomKilled }: Summary): string {
  if (status === "running") return "running"
  return `exited (${exitCode}${oomKilled ? ", out of memory" : ""}) ${finished ? ago(finished) : ""}`.trimEnd()
}

export async function psCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, PS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("ps")
  if (rest.length > 0) throw new UsageError(`ps takes no arguments, but got "${rest[0]}"`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  removeAbandonedBases(paths.bases)
  removeAbandonedLayers(paths)
  const containers = listContainers(paths, booleans.get("all") ?? false)
  const full = booleans.get("no-trunc") ?? false
  const id = (summary: Summary) => (full ? summary.id : summary.id.slice(0, 12))
  const lines: string[] = []
  if (booleans.get("json")) lines.push(...containers.map((summary) => JSON.stringify(summary)))
  else if (booleans.get("quiet")) lines.push(...containers.map(id))
  else {
    const rows = containers.map((summary) => {
      const command = shown(summary.command.join(" "))
      const cut = full || command.length <= 30 ? command : `${command.slice(0, 29)}…`
      return [id(summary), shown(summary.image), cut, ago(summary.created), status(summary), summary.name]
    })
    lines.push(table([["CONTAINER ID", "ROOT", "COMMAND", "CREATED", "STATUS", "NAME"], ...rows]))
  }
  print(lines)
  return 0
}
