/** The way of a run whose image is in the store: a few calls. */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { holdLayer } from "../cache/layers.ts"
import { type ImageConfig, readConfig } from "../config.ts"
import { type ImageRecord, readBlobFile, readImage, storePaths } from "./records.ts"

/** An image whose layers are held until this process ends. */
export interface StoredImage {
  record: ImageRecord
  config: ImageConfig
  /** The roots of its layers, the top one first. */
  roots: string[]
}

/** The image of a name; null where it is not there, or not whole. */
export function openImage(paths: Paths, name: string): StoredImage | null {
  const record = readImage(paths, name)
  const bytes = record === null ? null : readBlobFile(paths, record.id)
  if (record === null || bytes === null) return null
  const roots: string[] = []
  for (const id of record.layers) {
    const root = holdLayer(storePaths(paths), id)
    if (root === null) return null
    roots.unshift(root)
  }
  return { record, config: readConfig(bytes, `the config of ${name}`), roots }
}

/** Holds the layers of an image that was found by this word. Throws ToyboxError where it is not whole, or not there any more. */
export function holdImage(paths: Paths, { name }: ImageRecord, word: string): void {
  if (openImage(paths, name) !== null) return
  if (readImage(paths, name) === null) throw new ToyboxError(`${word} has just been removed`)
  throw new ToyboxError(`${word} is not whole`, { hint: "pull or load it again" })
}
