/** toybox images, toybox rmi. */
import { recoverAll } from "../../container/recover.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { formatBytes } from "../../image/progress.ts"
import { type Reference, storedReference } from "../../image/reference.ts"
import { type ImageRecord, isNameless, listImages } from "../../image/store/records.ts"
import { collect, findImage, forgetDigest, isNoSuchImage, removeImage } from "../../image/store/remove.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { IMAGE_TITLES, imageFields, repoDigestOf } from "../docker-fields.ts"
import { each } from "../each.ts"
import { familiarName, findStored } from "../image.ts"
import { chosenImages } from "../image-filter.ts"
import { imageUsers } from "../image-users.ts"
import { type SortKeys, sorted } from "../sort.ts"
import { listFormat, printTable, shown, since } from "../table.ts"
import { IMAGES_OPTIONS, RMI_OPTIONS } from "./images-options.ts"

function statePaths({ strings }: ParsedArgv) {
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  return paths
}

const SORTS: SortKeys<ImageRecord> = {
  created: { of: ({ created, pulled }) => created ?? pulled, newest: true },
  id: { of: ({ id }) => id },
  repository: { of: familiarName },
  size: { of: ({ size }) => size },
  tag: { of: (image) => familiarName(image).replace(/^.*[:/]/, "") },
}

export async function imagesCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, IMAGES_OPTIONS)
  const { booleans, strings, lists, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("images")
  if (rest.length > 1) throw new UsageError(`images takes one name or none, but got "${rest[1]}", too`)
  const paths = statePaths(argv)
  const filters = [...(lists.get("filter") ?? []), ...rest.map((name) => `reference=${name}`)]
  const chosen = filters.length === 0 ? listImages(paths) : chosenImages(paths, filters)
  const images = sorted(chosen, strings.get("sort"), SORTS)
  const titled = !booleans.get("noheading")
  const full = booleans.get("no-trunc") ?? false
  const format = listFormat(strings.get("format"))
  const id = (image: ImageRecord) => (full ? image.id : image.id.slice(7, 19))
  if (booleans.get("json")) print(images.map((image) => JSON.stringify(image)))
  else if (booleans.get("quiet")) print([...new Set(images.map(id))])
  else if (format !== undefined) {
    const { printFormatted } = await import("../template.ts")
    const fields = images.map((image) => imageFields(image, full))
    printFormatted(format, fields, IMAGE_TITLES, titled)
  } else {
    const digests = booleans.get("digests") ?? false
    // Build tools that want the same digest every time write the epoch, or nothing.
    const age = (created: number) => (created > 0 ? since(created) : "")
    const rows = images.map((image) => [
      shown(isNameless(image) ? "<none>" : familiarName(image)),
      ...(digests ? [repoDigestOf(image)?.digest ?? "<none>"] : []),
      id(image),
      age(Date.parse(image.created ?? "")),
      formatBytes(image.size),
      image.platform,
    ])
    const head = ["IMAGE", ...(digests ? ["DIGEST"] : []), "ID", "CREATED", "SIZE", "PLATFORM"]
    printTable([...(titled ? [head] : []), ...rows])
  }
  return 0
}

/** What a word takes away. */
interface Meant {
  images: ImageRecord[]
  /** A registry's digest, which the images that are left lose. */
  reference?: Reference | undefined
}

/**
 * What a word takes away: a name; a registry's digest, and the image only where it is known by nothing else; or by the id
 * every name. Throws ToyboxError where that is more than one, without `force`.
 */
function meantByRmi(paths: Paths, word: string, force: boolean): Meant {
  const { record, byId, reference } = findStored(paths, word)
  if (reference !== undefined) {
    const isAll = isNameless(record) ? record.repoDigests?.length === 1 : record.name === storedReference(reference)
    return { images: isAll ? [record] : [], reference }
  }
  const same = byId ? listImages(paths).filter(({ id }) => id === record.id) : [record]
  if (same.length > 1 && !force)
    throw new ToyboxError(`${word} has several names: ${same.map(familiarName).join(", ")}`, {
      hint: "remove it by a name, or with --force by all of them",
    })
  return { images: same }
}

export async function rmiCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, RMI_OPTIONS)
  const { booleans, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("rmi")
  const all = booleans.get("all") ?? false
  if (all && rest.length > 0) throw new UsageError("rmi --all takes no names")
  if (!all && rest.length === 0) throw new UsageError("rmi needs an image", { hint: "toybox images lists them" })
  const paths = statePaths(argv)
  recoverAll(paths)
  const users = imageUsers(paths)
  const chosen = all
    ? listImages(paths)
        .filter(({ id }) => !users.ofImages().has(id))
        .map(({ name }) => name)
    : rest
  const force = booleans.get("force") ?? false
  const found = (word: string): Meant | null => {
    try {
      return meantByRmi(paths, word, force)
    } catch (error) {
      if (!booleans.get("ignore") || !isNoSuchImage(error)) throw error
      return null
    }
  }
  const remove = async (word: string) => {
    const meant = all ? { images: [findImage(listImages(paths), word, word)] } : found(word)
    if (meant === null) return
    for (const image of meant.images) await removeImage(paths, image, users, force)
    if (meant.reference) await forgetDigest(paths, meant.reference)
    print([word])
  }
  // As docker and podman have it.
  const exitCode = await each(chosen, remove, (error) => !(force && isNoSuchImage(error)))
  await collect(paths, users)
  return exitCode
}
