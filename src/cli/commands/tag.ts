/** toybox tag. */
import { UsageError } from "../../errors.ts"
import { recordImage } from "../../image/events.ts"
import { tagImage } from "../../image/store/put.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { findStored } from "../image.ts"
import { newName } from "../new-name.ts"
import { TAG_OPTIONS } from "./archive-options.ts"

export async function tagCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, TAG_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("tag")
  const [source, target] = rest
  if (source === undefined || target === undefined || rest.length > 2)
    throw new UsageError("tag takes an image and its new name", { hint: "toybox tag IMAGE NAME[:TAG]" })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recordImage(paths, "tag", await tagImage(paths, findStored(paths, source).record, newName(paths, target)))
  return 0
}
