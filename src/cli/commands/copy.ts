/** toybox cp. */
import { isTerminal } from "../../../ffi/tty.ts"
import { parseAddress } from "../../copy/address.ts"
import { copy, copyIn, copyOut } from "../../copy/copy.ts"
import { readPatiently } from "../../copy/input.ts"
import { UsageError } from "../../errors.ts"
import { decompress } from "../../image/layer/decompress.ts"
import { formatBytes } from "../../image/progress.ts"
import { openOutput } from "../../image/saved/output.ts"
import { notice } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { untilEnded } from "../signals.ts"
import { COPY_OPTIONS } from "./copy-options.ts"

const FORMS = "toybox cp CONTAINER:PATH PATH|-, or toybox cp PATH|- CONTAINER:PATH"

export async function copyCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, COPY_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("cp")
  const [source, destination, ...more] = rest
  if (source === undefined || destination === undefined || more.length > 0)
    throw new UsageError("cp needs a source and a destination", { hint: FORMS })
  const [from, to] = [parseAddress(source), parseAddress(destination)]
  if (from.kind === "container" && to.kind === "container")
    throw new UsageError("cp does not copy from container to container", {
      hint: `toybox cp ${source} - | toybox cp - ${destination}`,
    })
  if (from.kind !== "container" && to.kind !== "container")
    throw new UsageError("cp copies from or to a container, and neither is one", { hint: FORMS })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const archive = booleans.get("archive") ?? false
  const follow = booleans.get("follow-link") ?? false
  // The modes of what is copied are meant as they stand.
  process.umask(0)
  const signal = untilEnded("cp")
  if (to.kind === "stream" && from.kind !== "stream") {
    if (isTerminal(1))
      throw new UsageError("cp writes an archive to standard output, which is a terminal", {
        hint: `toybox cp ${source} - | tar -x`,
      })
    const output = openOutput(null, signal)
    for await (const part of copyOut(paths, from, follow)) await output.write(part)
    return 0
  }
  let bytes = 0
  if (from.kind === "stream" && to.kind === "container")
    bytes = await copyIn(paths, decompress(readPatiently(0, signal), "the archive"), to, signal)
  else if (from.kind !== "stream" && to.kind !== "stream")
    bytes = await copy(paths, { from, to, archive, follow, signal })
  if (!booleans.get("quiet") && isTerminal(2)) notice(`copied ${formatBytes(bytes)} to ${destination}`)
  return 0
}
