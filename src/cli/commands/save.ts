/** toybox save. */
import { isTerminal } from "../../../ffi/tty.ts"
import { UsageError } from "../../errors.ts"
import { recordImage } from "../../image/events.ts"
import { startProgress } from "../../image/progress.ts"
import { openOutput } from "../../image/saved/output.ts"
import { type ArchiveFormat, planSave, type SavedImage } from "../../image/saved/save.ts"
import { holdImage } from "../../image/store/open.ts"
import { notice } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { bareRepository, familiarName, findStored, imagesOf, isReference, type StoredImage } from "../image.ts"
import { untilEnded } from "../signals.ts"
import { SAVE_OPTIONS } from "./archive-options.ts"

const FORMATS: readonly ArchiveFormat[] = ["docker-archive", "oci-archive"]

/** The images that a word means: to docker a name without a tag means all of its tags, to podman the one. */
function meantBy(word: string, paths: Paths, format: ArchiveFormat): Pick<StoredImage, "record" | "byId">[] {
  const repository = format === "docker-archive" ? bareRepository(word, paths) : null
  const all = repository === null ? [] : imagesOf(paths, repository).toReversed()
  return all.length > 0 ? all.map((record) => ({ record, byId: false })) : [findStored(paths, word)]
}

/** The images that words mean, held; one that is named twice, by other names, is one. Throws ToyboxError. */
function chosenImages(paths: Paths, words: readonly string[], format: ArchiveFormat): SavedImage[] {
  const chosen = new Map<string, { record: SavedImage["record"]; names: string[] }>()
  const meant = words.flatMap((word) => meantBy(word, paths, format).map((image) => ({ ...image, word })))
  for (const { record, byId, word } of meant) {
    holdImage(paths, record, word)
    const names = byId || !isReference(record) ? [] : [record.name]
    const known = chosen.get(record.manifest)
    if (known === undefined) chosen.set(record.manifest, { record, names })
    else known.names.push(...names.filter((name) => !known.names.includes(name)))
  }
  return [...chosen.values()]
}

export async function saveCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, SAVE_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("save")
  if (rest.length === 0) throw new UsageError("save needs an image", { hint: "toybox images lists them" })
  const format = FORMATS.find((known) => known === (strings.get("format") ?? "docker-archive"))
  if (format === undefined)
    throw new UsageError(`--format: "${strings.get("format")}" is not known (use ${FORMATS.join(", ")})`)
  const given = strings.get("output")
  const path = given === undefined || given === "-" ? null : given
  if (path === null && isTerminal(1))
    throw new UsageError("save writes an archive to standard output, which is a terminal", {
      hint: `toybox save -o FILE ${rest.join(" ")}`,
    })
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const quiet = booleans.get("quiet") ?? false
  const images = chosenImages(paths, rest, format)
  const plan = planSave(paths, images, format)
  for (const { record, digest } of plan.changed) {
    if (quiet) continue
    notice(
      `${familiarName(record)}: its compressed layers are not kept, so they are saved plain: ` +
        `the digest is ${digest} instead of ${record.manifest}`,
    )
    notice(`hint: toybox pull --keep-blobs ${familiarName(record)}`)
  }
  const signal = untilEnded("save")
  const output = openOutput(path, signal)
  const progress = startProgress(path ?? "save", quiet)
  progress.restart(plan.size)
  try {
    for await (const part of plan.write()) {
      await output.write(part)
      progress.add(part.length)
    }
    output.finish()
  } catch (error) {
    progress.stop()
    output.abandon()
    throw error
  }
  for (const { record } of images) recordImage(paths, "save", record)
  progress.done(`${rest.join(", ")}: saved`)
  return 0
}
