/** Removing images: a name, and then exactly what no other name and no container uses. */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { layerPath, layerRoot, listLayers, removeAbandonedLayers, removeLayer } from "../cache/layers.ts"
import { recordRemoved } from "../events.ts"
import { type Reference, repositoryName } from "../reference.ts"
import { layerDescriptors } from "./blobs.ts"
import {
  type ImageRecord,
  imageByDigest,
  imagesById,
  isNameless,
  keepNameless,
  listImages,
  readBlobFile,
  removeBlobs,
  removeName,
  storePaths,
  withContent,
  writeImage,
} from "./records.ts"

/** The ids of containers, as they are each time: of those made of an image by its id, of those on a root by its path. */
export interface Users {
  ofImages(): ReadonlyMap<string, readonly string[]>
  ofRoots(): ReadonlyMap<string, readonly string[]>
}

/** What an image keeps of blobs: its documents, and its layers as far as these are kept. */
function blobsOf(paths: Paths, image: ImageRecord): string[] {
  const { id, manifest, digest } = image
  const isThere = readBlobFile(paths, manifest) !== null
  const layers = isThere ? layerDescriptors(paths, image).map((layer) => layer.digest) : []
  return [id, manifest, digest, ...layers]
}

/**
 * Removes the layers and blobs that no name leads to; what a container uses, or another toybox is just pulling, stays.
 * Returns the chain ids of the layers removed.
 */
export const collect = (paths: Paths, users: Users): Promise<string[]> =>
  withContent(paths, () => {
    const store = storePaths(paths)
    removeAbandonedLayers(store)
    const images = listImages(paths)
    const named = new Set(images.flatMap(({ layers }) => layers))
    const removed = listLayers(store)
      .filter((id) => !named.has(id))
      .filter((id) => removeLayer(store, id, () => users.ofRoots().has(layerRoot(layerPath(store, id)))))
    removeBlobs(paths, new Set(images.flatMap((image) => blobsOf(paths, image))))
    return removed
  })

const NO_SUCH_IMAGE = "no such image"

/** Whether it was told that there is no image of a name. */
export const isNoSuchImage = (error: unknown): boolean =>
  error instanceof ToyboxError && error.message.startsWith(NO_SUCH_IMAGE)

/**
 * The image that somebody means by a whole name, by a digest of a registry (`reference`), or by an id or its beginning.
 * Throws where there is none, or more than one.
 */
export function findImage(
  images: readonly ImageRecord[],
  name: string | null,
  word: string,
  reference?: Reference,
): ImageRecord {
  const named = images.find((image) => image.name === name) ?? (reference && imageByDigest(images, reference))
  if (named) return named
  const found = imagesById(images, word)
  const [only] = found
  if (only === undefined) throw new ToyboxError(`${NO_SUCH_IMAGE}: ${word}`, { hint: "toybox images lists them" })
  if (new Set(found.map(({ id }) => id)).size > 1)
    throw new ToyboxError(`"${word}" is the beginning of several images' ids: give more of it`)
  return only
}

/** Forgets what a registry knows images by, the digest of a whole reference; their names stay. */
export const forgetDigest = (paths: Paths, reference: Reference): Promise<void> =>
  withContent(paths, () => {
    const gone = `${repositoryName(reference)}@${reference.digest}`
    for (const image of listImages(paths)) {
      const { repoDigests = [] } = image
      if (repoDigests.includes(gone))
        writeImage(paths, { ...image, repoDigests: repoDigests.filter((known) => known !== gone) })
    }
  })

/**
 * Removes a name, unless it is the image's last and containers were made of it; with `force` the image goes by its id then,
 * and that alone it cannot lose. Throws ToyboxError.
 */
export const removeImage = (paths: Paths, image: ImageRecord, users: Users, force: boolean): Promise<void> =>
  withContent(paths, () => {
    const isLast = listImages(paths).every(({ id, name }) => id !== image.id || name === image.name)
    const ids = isLast ? (users.ofImages().get(image.id) ?? []) : []
    if (ids.length > 0) {
      const shown = ids.map((id) => id.slice(0, 12)).join(" ")
      if (!force || isNameless(image)) {
        const more = isNameless(image) ? "" : "; with --force the name goes, and the image by its id"
        throw new ToyboxError(`${image.name} is in use by container ${shown}`, {
          hint: `remove it first: toybox rm ${shown}${more}`,
        })
      }
      keepNameless(paths, { ...image, repoDigests: [] })
    }
    removeName(paths, image.name)
    recordRemoved(paths, image, isLast && ids.length === 0)
  })
