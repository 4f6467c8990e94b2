/** toybox commit. */
import { isDirectory, stat } from "../../../ffi/fs.ts"
import { writeNamedFile } from "../../container/pid-file.ts"
import { commitContainer } from "../../copy/commit.ts"
import { needsRoot, UsageError } from "../../errors.ts"
import { startProgress } from "../../image/progress.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { applyChanges } from "../flags/changes.ts"
import { newName } from "../new-name.ts"
import { untilEnded } from "../signals.ts"
import { sourceDate } from "../source-date.ts"
import { COMMIT_OPTIONS } from "./make-options.ts"

export async function commitCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, lists, rest } = parseArgv(words, COMMIT_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("commit")
  const [container, reference, more] = rest
  if (container === undefined || more !== undefined)
    throw new UsageError("commit takes a container, and a name for the image", {
      hint: "toybox commit CONTAINER [NAME[:TAG]]",
    })
  if (process.geteuid?.() !== 0) throw needsRoot("toybox commit")
  if (booleans.get("squash"))
    throw new UsageError("commit --squash: the layers below the container's stay as they are, for others to share", {
      hint: `toybox export ${container} | toybox import - NAME makes an image of one layer`,
    })
  const changes = lists.get("change") ?? []
  const idFile = strings.get("iidfile")
  const directory = idFile?.includes("/") ? idFile.slice(0, idFile.lastIndexOf("/")) || "/" : "."
  if (idFile === "" || (idFile !== undefined && !isDirectory(stat(directory))))
    throw new UsageError(`--iidfile: "${idFile}": there is no such directory`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const name = reference === undefined ? null : newName(paths, reference)
  const latestTime = sourceDate()
  process.umask(0)
  const progress = startProgress(container, booleans.get("quiet") ?? false)
  try {
    const record = await commitContainer(paths, container, {
      name,
      author: strings.get("author"),
      message: strings.get("message"),
      pause: booleans.get("pause") ?? true,
      latestTime,
      change: (config) => applyChanges(config, changes),
      progress,
      signal: untilEnded("commit"),
    })
    progress.done(`${container}: committed`)
    if (idFile !== undefined) writeNamedFile(idFile, record.id)
    print([record.id])
    return 0
  } catch (error) {
    progress.stop()
    throw error
  }
}
