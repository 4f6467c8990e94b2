/** toybox load. */
import { isTerminal } from "../../../ffi/tty.ts"
import { needsRoot, UsageError } from "../../errors.ts"
import { recordImage } from "../../image/events.ts"
import { archivedImages } from "../../image/saved/content.ts"
import { loadImage } from "../../image/saved/load.ts"
import { openImageArchive } from "../../image/saved/open.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { familiarName } from "../image.ts"
import { pullOptions } from "../obtain.ts"
import { untilEnded } from "../signals.ts"
import { LOAD_OPTIONS } from "./archive-options.ts"

export async function loadCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, LOAD_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("load")
  if (rest.length > 0)
    throw new UsageError(`load takes no arguments, but got "${rest[0]}"`, { hint: `toybox load -i ${rest[0]}` })
  const input = strings.get("input")
  const path = input === undefined || input === "-" ? null : input
  if (path === null && isTerminal(0))
    throw new UsageError("load reads an archive from standard input, which is a terminal", {
      hint: "toybox load -i FILE",
    })
  if (process.geteuid?.() !== 0) throw needsRoot("toybox load")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  // The modes of unpacked files are meant as they stand.
  process.umask(0)
  ensurePaths(paths)
  const options = pullOptions(argv, paths, untilEnded("load"))
  const archive = await openImageArchive(path, options)
  try {
    for (const image of archivedImages(archive.files)) {
      const loaded = await loadImage(image, options)
      for (const record of loaded) recordImage(paths, "load", record)
      const [{ id, digest }] = loaded
      if (booleans.get("json")) print([JSON.stringify({ id, digest, names: image.names })])
      // In docker's words: scripts look for them.
      else if (image.names.length === 0) print([`Loaded image ID: ${id}`])
      else print(loaded.map((record) => `Loaded image: ${familiarName(record)}`))
    }
  } finally {
    archive.close()
  }
  return 0
}
