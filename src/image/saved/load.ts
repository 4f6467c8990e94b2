/** An image of an archive into the store, under all its names. */
import { type PullOptions, pullImage } from "../store/pull.ts"
import { tagImage } from "../store/put.ts"
import type { ImageRecord } from "../store/records.ts"
import type { ArchivedImage } from "./content.ts"

/**
 * Loads an image; another that had one of its names loses it. Returns its records, one for each name, or one for its id where
 * it has none. Throws ToyboxError.
 */
export async function loadImage(
  { names, shown, origin }: ArchivedImage,
  options: Omit<PullOptions, "name" | "shown" | "policy">,
): Promise<[ImageRecord, ...ImageRecord[]]> {
  const [first = null, ...others] = names
  const { record } = await pullImage(origin, { ...options, name: first, shown, policy: "always" })
  const further: ImageRecord[] = []
  for (const name of others) further.push(await tagImage(options.paths, record, name))
  return [record, ...further]
}
