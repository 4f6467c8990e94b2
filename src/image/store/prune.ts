/** Removing the images that nobody asks for any more. */
import type { Paths } from "../../paths.ts"
import { layerFacts, listLayers } from "../cache/layers.ts"
import { recordRemoved } from "../events.ts"
import { keptBytes } from "./blobs.ts"
import { type ImageRecord, isNameless, listImages, readImage, removeName, storePaths, withContent } from "./records.ts"
import { collect, type Users } from "./remove.ts"

/** What went. */
export interface PrunedImages {
  /** Names, or ids of those without one. */
  names: string[]
  /** Chain ids. */
  layers: string[]
  /** Of the tar streams of the layers, and of what was kept of them as they came. */
  bytes: number
}

/** Bytes of the layers of the store, by chain id. */
export const layerSizes = (paths: Paths): Map<string, number> =>
  new Map(listLayers(storePaths(paths)).map((id) => [id, layerFacts(storePaths(paths), id)?.bytes ?? 0]))

/**
 * Removes the images without a name, and with `all` the others, too, that no container stands on, of those that are chosen;
 * and every layer that no name leads to then.
 */
export async function pruneImages(
  paths: Paths,
  users: Users,
  all: boolean,
  isChosen: (image: ImageRecord) => boolean,
): Promise<PrunedImages> {
  const sizes = layerSizes(paths)
  const kept = keptBytes(paths, listImages(paths))
  const used = users.ofImages()
  const unused = listImages(paths).filter(
    (image) => (all || isNameless(image)) && !used.has(image.id) && isChosen(image),
  )
  const names: string[] = []
  for (const image of unused) {
    // A container may have been made of it, or its name given to another image, since the list was made.
    const isGone = await withContent(
      paths,
      () =>
        readImage(paths, image.name)?.id === image.id &&
        !users.ofImages().has(image.id) &&
        removeName(paths, image.name),
    )
    if (!isGone) continue
    names.push(image.name)
    recordRemoved(
      paths,
      image,
      listImages(paths).every(({ id }) => id !== image.id),
    )
  }
  const layers = await collect(paths, users)
  return {
    names,
    layers,
    bytes: layers.reduce((sum, id) => sum + (sizes.get(id) ?? 0), 0) + kept - keptBytes(paths, listImages(paths)),
  }
}
