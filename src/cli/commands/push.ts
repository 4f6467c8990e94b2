/** toybox push. */
import { ToyboxError, UsageError } from "../../errors.ts"
import { startProgress } from "../../image/progress.ts"
import { changedDigest, pushImage } from "../../image/push/push.ts"
import { familiarReference, formatReference, type Reference } from "../../image/reference.ts"
import { loadSettings } from "../../image/registry/settings.ts"
import { openImage } from "../../image/store/open.ts"
import type { ImageRecord } from "../../image/store/records.ts"
import { imageSource } from "../../image/transport.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { findStored, isReference } from "../image.ts"
import { untilEnded } from "../signals.ts"
import { PUSH_OPTIONS } from "./archive-options.ts"

/** Where an image is to be pushed: what was said, or else its own name. Throws UsageError. */
function destinationOf(paths: Paths, image: ImageRecord, word: string | undefined): Reference {
  if (word === undefined && !isReference(image))
    throw new UsageError(`${image.name} has no name to be pushed under`, {
      hint: "toybox push IMAGE HOST/NAME:TAG",
    })
  const { shortNames } = loadSettings(paths.state)
  const source = imageSource(word ?? image.name, shortNames)
  if (source.kind !== "registry")
    throw new UsageError(`push goes to registries, which ${word} is not`, { hint: "toybox save writes archives" })
  if (source.reference.digest !== undefined)
    throw new UsageError(`${word ?? image.name} names a digest: what is pushed needs a tag`, {
      hint: "toybox push IMAGE HOST/NAME:TAG",
    })
  return source.reference
}

export async function pushCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, PUSH_OPTIONS)
  const { booleans, strings, lists, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("push")
  const [word, to] = rest
  if (word === undefined) throw new UsageError("push needs an image", { hint: "toybox images lists them" })
  if (rest.length > 2) throw new UsageError(`push takes an image and where it goes, but got "${rest[2]}", too`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const { record: image } = findStored(paths, word)
  const destination = destinationOf(paths, image, to)
  if (openImage(paths, image.name) === null)
    throw new ToyboxError(`${word} is not whole`, { hint: "pull or load it again" })
  const quiet = booleans.get("quiet") ?? false
  const shown = familiarReference(destination)
  const signal = untilEnded(shown)
  const progress = startProgress(shown, quiet)
  try {
    const pushed = await pushImage({
      ...{ paths, image, destination, progress, signal },
      settings: loadSettings(paths.state),
      state: paths.state,
      wishes: { insecure: booleans.get("insecure"), ca: lists.get("ca") },
      ...(quiet ? {} : { notice: (text: string) => progress.note(text) }),
    })
    const changed = changedDigest(pushed, image, destination)
    if (changed !== null && !quiet) progress.note(changed)
    progress.done(`${shown}: pushed`)
    const { digest, size, layers } = pushed
    if (booleans.get("json")) {
      const told = layers.map(({ descriptor, how }) => ({ digest: descriptor.digest, size: descriptor.size, how }))
      print([JSON.stringify({ name: formatReference(destination), digest, size, layers: told })])
    } else print(quiet ? [digest] : [`${shown}: pushed`, `digest: ${digest}`])
  } catch (error) {
    progress.stop()
    throw error
  }
  return 0
}
