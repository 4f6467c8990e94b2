/** An image of one layer, from an archive of a root file system. */
import type { Paths } from "../../paths.ts"
import { removeAbandonedLayers } from "../cache/layers.ts"
import { type NewDocument, writeConfig } from "../document.ts"
import { addLayer } from "./add-layer.ts"
import { putImage } from "./put.ts"
import { type ImageRecord, storePaths } from "./records.ts"

export interface RootImport {
  /** The whole reference; null for none. */
  name: string | null
  /** For errors. */
  shown: string
  /** The archive: tar, plain or compressed. */
  source: AsyncIterable<Uint8Array>
  document: Omit<NewDocument, "diffIds" | "history">
  /** In the history. */
  comment: string
  signal?: AbortSignal
}

/** Puts an image of one layer into the store, whole or not at all. Throws ToyboxError. */
export async function importRoot(
  paths: Paths,
  { name, shown, source, document, comment, signal }: RootImport,
): Promise<ImageRecord> {
  removeAbandonedLayers(storePaths(paths))
  const layer = await addLayer(paths, { name: shown, below: undefined, source, ...(signal ? { signal } : {}) })
  const { bytes } = writeConfig({
    ...document,
    diffIds: [layer.diffId],
    history: [{ created: document.created, comment, empty_layer: false }],
  })
  return putImage(paths, { name, config: bytes })
}
