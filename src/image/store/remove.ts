/** Removing images: a name, and then exactly what no other name and no container uses. */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { layerPath, layerRoot, listLayers, removeAbandonedLayers, removeLayer } from "../cache/layers.ts"
import { layerDescriptors } from "./blobs.ts"
import {
  type ImageRecord,
  imagesById,
  listImages,
  readBlobFile,
  removeBlobs,
  removeName,
  storePaths,
  withContent,
} from "./records.ts"

/** Containers by the roots that they stand on. */
export type Users = () => ReadonlyMap<string, readonly string[]>

/** Ids of the containers that stand on an image's layers. */
export function usersOf(paths: Paths, { layers }: ImageRecord, users: Users): string[] {
  const byRoot = users()
  const top = layers.at(-1)
  return top === undefined ? [] : [...(byRoot.get(layerRoot(layerPath(storePaths(paths), top))) ?? [])]
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
      .filter((id) => removeLayer(store, id, () => users().has(layerRoot(layerPath(store, id)))))
    removeBlobs(paths, new Set(images.flatMap((image) => blobsOf(paths, image))))
    return removed
  })

/** The image that somebody means by a whole name, or by an id or its beginning. Throws where there is none, or more than one. */
export function findImage(images: readonly ImageRecord[], name: string | null, word: string): ImageRecord {
  const named = images.find((image) => image.name === name)
  if (named) return named
  const found = imagesById(images, word)
  const [only] = found
  if (only === undefined) throw new ToyboxError(`no such image: ${word}`, { hint: "toybox images lists them" })
  if (new Set(found.map(({ id }) => id)).size > 1)
    throw new ToyboxError(`"${word}" is the beginning of several images' ids: give more of it`)
  return only
}

/** Removes a name, unless containers stand on the image's layers and no other image has them; `force` removes the name even so. */
export function removeImage(paths: Paths, image: ImageRecord, users: Users, force: boolean): void {
  const top = image.layers.at(-1)
  const keeps = ({ name, layers }: ImageRecord) => name !== image.name && top !== undefined && layers.includes(top)
  const ids = listImages(paths).some(keeps) ? [] : usersOf(paths, image, users)
  if (ids.length > 0 && !force) {
    const shown = ids.map((id) => id.slice(0, 12)).join(" ")
    throw new ToyboxError(`${image.name} is in use by container ${shown}`, {
      hint: `remove it first: toybox rm ${shown}; with --force the name goes, and the layers stay as long as they are used`,
    })
  }
  removeName(paths, image.name)
}
