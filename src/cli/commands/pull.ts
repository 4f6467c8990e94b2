/** toybox pull. */
import { needsRoot, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { pullPolicy } from "../flags/image.ts"
import { imageName } from "../image.ts"
import { obtainImage } from "../obtain.ts"
import { untilEnded } from "../signals.ts"
import { PULL_OPTIONS } from "./images-options.ts"

export async function pullCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, PULL_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("pull")
  const [word] = rest
  if (word === undefined || rest.length > 1)
    throw new UsageError(word === undefined ? "pull needs an image" : `pull takes one image, but got "${rest[1]}", too`)
  if (process.geteuid?.() !== 0) throw needsRoot("toybox pull")
  const policy = pullPolicy(strings.get("policy"), "always", "--policy")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  const image = imageName(word, paths)
  if (image === null) throw new UsageError(`pull: ${word} is a path or an address, and no image`)
  // The modes of unpacked files are meant as they stand.
  process.umask(0)
  ensurePaths(paths)
  const { record, fresh } = await obtainImage(image, argv, paths, policy, untilEnded(image.shown))
  if (booleans.get("quiet")) print([record.id])
  else print([`${image.shown}: ${fresh ? "is up to date" : "pulled"}`, `digest: ${record.digest}`, `id: ${record.id}`])
  return 0
}
