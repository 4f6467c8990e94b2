/** An image as it is named on a command line. */
import {
  familiarForm,
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  repositoryName,
  storedReference,
} from "../image/reference.ts"
import { loadSettings } from "../image/registry/settings.ts"
import {
  type ImageRecord,
  imageByDigest,
  imagesById,
  isImageId,
  isNameless,
  listImages,
  readImage,
} from "../image/store/records.ts"
import { findImage } from "../image/store/remove.ts"
import { type ImageSource, imageSource } from "../image/transport.ts"
import type { Paths } from "../paths.ts"
import { normalPath } from "./flags/path.ts"

/** What an image is called: in the store, and to people. */
export interface ImageName {
  /** "stored": the word is the id of an image that is here. */
  source: ImageSource | { kind: "stored" }
  name: string
  shown: string
}

/** Whether an image of the store is known by a name of registries: not by its id, and not by where it lay. */
export const isReference = (image: ImageRecord): boolean =>
  !isNameless(image) && !/^(oci|oci-archive|docker-archive):\//.test(image.name)

/** An image of the store as people know it. */
export const familiarName = ({ name }: ImageRecord): string => familiarForm(name)

// A malformed name; what has fewer digits may be both, and is a name first.
const WHOLE_ID = /^(sha256:)?[0-9a-f]{64}$/

/** An image of the store, and by what it was found. */
export interface StoredImage {
  record: ImageRecord
  byId: boolean
  /** The word has a registry's digest, which several names may have. */
  reference: Reference | undefined
}

/** The image of the store that a word means, by a name, or by an id or its beginning. Throws ToyboxError. */
export function findStored(paths: Paths, word: string): StoredImage {
  const named = WHOLE_ID.test(word) ? null : namedImage(word, paths)
  const reference =
    named?.source.kind === "registry" && named.source.reference.digest ? named.source.reference : undefined
  const record = findImage(listImages(paths), named?.name ?? null, word, reference)
  return { record, byId: record.name !== named?.name && reference === undefined, reference }
}

/** The images of a repository, under all their tags, the one that came last first. */
export const imagesOf = (paths: Paths, wanted: Reference): ImageRecord[] =>
  listImages(paths).filter((image) => {
    const reference = isReference(image) ? parseReference(image.name) : null
    return reference?.tag !== undefined && repositoryName(reference) === repositoryName(wanted)
  })

/** The repository that a word names, without a tag or a digest; null where it names something else. */
export function bareRepository(word: string, paths: Paths): Reference | null {
  const source = WHOLE_ID.test(word) ? null : namedImage(word, paths)?.source
  const reference = source?.kind === "registry" ? source.reference : null
  return reference === null || reference.digest !== undefined || word.endsWith(`:${reference.tag}`) ? null : reference
}

/** What an image is called in the store, where a registry's digest of it may be under another name. */
export function storedName({ source, name }: ImageName, paths: Paths): string {
  if (source.kind !== "registry" || source.reference.digest === undefined || readImage(paths, name) !== null)
    return name
  return imageByDigest(listImages(paths), source.reference)?.name ?? name
}

export const absolute = (path: string) => normalPath(path.startsWith("/") ? path : `${process.cwd()}/${path}`)

/**
 * Reads an image's name, or the id of one that is here, or the beginning of one that is no name here; null where the word
 * means a path, an address or the base image. Throws UsageError.
 */
export function imageName(word: string, paths: Paths): ImageName | null {
  const named = WHOLE_ID.test(word) ? null : namedImage(word, paths)
  if (isImageId(word) && (named === null || readImage(paths, named.name) === null)) {
    const [known, ...others] = imagesById(listImages(paths), word)
    if (known && others.every(({ id }) => id === known.id))
      return { source: { kind: "stored" }, name: known.name, shown: word }
  }
  return named ?? namedImage(word, paths)
}

/** By what a word is as a name. */
function namedImage(word: string, paths: Paths): ImageName | null {
  const source = imageSource(word, loadSettings(paths.state).shortNames)
  switch (source.kind) {
    case "registry": {
      const { reference } = source
      return { source, name: storedReference(reference), shown: familiarReference(reference) }
    }
    case "oci":
    case "oci-archive": {
      const name = `${source.kind}:${absolute(source.path)}${source.tag === undefined ? "" : `:${source.tag}`}`
      return { source, name, shown: name }
    }
    case "docker-archive": {
      const { path, reference } = source
      const name = `${source.kind}:${absolute(path)}${reference === undefined ? "" : `:${formatReference(reference)}`}`
      return { source, name, shown: name }
    }
    default:
      return null
  }
}
