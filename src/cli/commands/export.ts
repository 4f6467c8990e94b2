/** toybox export. */
import { isErrno } from "../../../ffi/errno.ts"
import { isTerminal } from "../../../ffi/tty.ts"
import { wholeRoot } from "../../copy/whole.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { startProgress } from "../../image/progress.ts"
import { openOutput } from "../../image/saved/output.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { untilEnded } from "../signals.ts"
import { EXPORT_OPTIONS } from "./export-options.ts"

export async function exportCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, EXPORT_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("export")
  const [reference, ...more] = rest
  if (reference === undefined || more.length > 0)
    throw new UsageError("export needs one container", { hint: "toybox ps -a lists them" })
  const given = strings.get("output")
  const path = given === undefined || given === "-" ? null : given
  if (path === null && isTerminal(1))
    throw new UsageError("export writes an archive to standard output, which is a terminal", {
      hint: `toybox export -o FILE ${reference}`,
    })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const signal = untilEnded("export")
  const output = openOutput(path, signal)
  const progress = startProgress(path ?? "export", booleans.get("quiet") ?? false)
  try {
    for await (const part of wholeRoot(paths, reference, { whiteouts: "none" })) {
      await output.write(part)
      progress.add(part.length)
    }
    output.finish()
  } catch (error) {
    progress.stop()
    output.abandon()
    if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error
    throw new ToyboxError(`cannot write ${path ?? "the archive"}`, { cause: error, hint: "the disk is full" })
  }
  progress.done(`${reference}: exported`)
  return 0
}
