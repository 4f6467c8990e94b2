/** toybox top. */
import { openCgroup } from "../../cgroup/manager.ts"
import { readProcesses } from "../../container/observe/processes.ts"
import { processRows, processTable } from "../../container/observe/ps-options.ts"
import { findRunning } from "../../container/running.ts"
import { UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseLeading } from "../argv.ts"
import { withLatest } from "../chosen.ts"
import { shown, table } from "../table.ts"
import { TOP_OPTIONS } from "./observe-options.ts"

export async function topCommand(words: readonly string[]): Promise<number> {
  const argv = parseLeading(words, TOP_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("top")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const [reference, ...options] = withLatest(paths, argv).rest
  if (reference === undefined) throw new UsageError("top needs a container", { hint: "toybox ps lists those that run" })
  const asked = processTable(options[0] === "--" ? options.slice(1) : options)
  const { running } = await findRunning(paths, reference)
  const pids = running.cgroup === null ? [running.pid] : openCgroup(running.cgroup).pids()
  const rows = processRows(readProcesses(pids), asked)
  print([table(rows.map((row) => row.map(shown)))])
  return 0
}
