/** Which image another was made on. */
import type { Paths } from "../../paths.ts"
import { type HistoryEntry, type ImageConfig, readConfig, wholeHistory } from "../config.ts"
import { type ImageRecord, readBlobFile } from "./records.ts"

function historyOf(paths: Paths, { id, name }: ImageRecord): HistoryEntry[] {
  const bytes = readBlobFile(paths, id)
  return bytes === null ? [] : wholeHistory(readConfig(bytes, `the config of ${name}`))
}

/**
 * The one of `images` that an image was made on by its last step, whoever made it: it has the layers of that but for the last
 * one at most, and the steps before. Null where it is not here.
 */
export function parentOf(
  paths: Paths,
  images: readonly ImageRecord[],
  { id, layers }: ImageRecord,
  config: ImageConfig,
): ImageRecord | null {
  const history = wholeHistory(config)
  const isBelow = (other: ImageRecord) =>
    other.id !== id && layers.length - other.layers.length <= 1 && other.layers.every((layer, i) => layer === layers[i])
  const steps = (other: ImageRecord) => {
    const told = historyOf(paths, other)
    return told.length < history.length && Bun.deepEquals(told, history.slice(0, told.length)) ? told.length : 0
  }
  const found = images.filter(isBelow).map((image) => ({ image, steps: steps(image) }))
  const [closest] = found.filter((other) => other.steps > 0).sort((a, b) => b.steps - a.steps)
  return closest?.image ?? null
}
