/** toybox push. */
import { ToyboxError, UsageError } from "../../errors.ts"
import { recordTransfer } from "../../image/events.ts"
import { startProgress } from "../../image/progress.ts"
import { changedDigest, type PushOptions, pushImage } from "../../image/push/push.ts"
import { familiarReference, formatReference, parseReference, type Reference } from "../../image/reference.ts"
import { loadSettings } from "../../image/registry/settings.ts"
import { holdImage } from "../../image/store/open.ts"
import type { ImageRecord } from "../../image/store/records.ts"
import { imageSource } from "../../image/transport.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { isInsecure } from "../flags/remote.ts"
import { familiarName, findStored, imagesOf, isReference } from "../image.ts"
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

/** The images of a repository, under all their tags. Throws UsageError, ToyboxError. */
function taggedImages(paths: Paths, word: string): ImageRecord[] {
  const { shortNames } = loadSettings(paths.state)
  const wanted = parseReference(word, shortNames)
  if (wanted.tag !== undefined || wanted.digest !== undefined)
    throw new UsageError(`push --all-tags: ${word} has a tag or a digest`, { hint: "give the name alone" })
  const found = imagesOf(paths, wanted)
  if (found.length === 0) throw new ToyboxError(`no image is called ${word}`, { hint: "toybox images lists them" })
  return found.toReversed()
}

async function pushOne(
  paths: Paths,
  { image, destination }: Pick<PushOptions, "image" | "destination">,
  argv: ParsedArgv,
): Promise<void> {
  const { booleans, lists } = argv
  holdImage(paths, image, familiarName(image))
  const quiet = booleans.get("quiet") ?? false
  const shown = familiarReference(destination)
  const signal = untilEnded(shown)
  const progress = startProgress(shown, quiet)
  try {
    const pushed = await pushImage({
      ...{ paths, image, destination, progress, signal },
      settings: loadSettings(paths.state),
      state: paths.state,
      wishes: { insecure: isInsecure(argv), ca: lists.get("ca") },
      ...(quiet ? {} : { notice: (text: string) => progress.note(text) }),
    })
    const changed = changedDigest(pushed, image, destination)
    if (changed !== null && !quiet) progress.note(changed)
    recordTransfer(paths, "push", shown)
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
}

export async function pushCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, PUSH_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("push")
  const [word, to] = rest
  const all = booleans.get("all-tags") ?? false
  if (word === undefined) throw new UsageError("push needs an image", { hint: "toybox images lists them" })
  if (rest.length > 2) throw new UsageError(`push takes an image and where it goes, but got "${rest[2]}", too`)
  if (all && to !== undefined) throw new UsageError("push --all-tags takes one name")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const images = all ? taggedImages(paths, word) : [findStored(paths, word).record]
  for (const image of images) await pushOne(paths, { image, destination: destinationOf(paths, image, to) }, argv)
  return 0
}
