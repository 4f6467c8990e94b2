/**
 * The root of a container as a copy of its image's layers, for where overlayfs is refused. It is made beside the upper
 * directory, then marked as whole, and then takes its place; whoever is killed in between has the next start go on.
 */
import { exists, rename, writeFile } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { overlayLayout } from "./layout.ts"

const markOf = (container: string) => `${container}/copied`
const stagingOf = (container: string) => `${container}/copying`

/** Where a container's root was copied to; null where it is none of those. */
export function copyOf(container: string): string | null {
  if (!exists(markOf(container))) return null
  const staging = stagingOf(container)
  return exists(staging) ? staging : overlayLayout(container).upper
}

/** Lets a whole copy take the place of the upper directory. */
export function settleCopy(container: string): void {
  const { upper } = overlayLayout(container)
  const staging = stagingOf(container)
  if (!exists(staging)) return
  removeTree(upper)
  rename(staging, upper)
}

/**
 * Copies layers, the top one first, and on them what the container has written since it was made. Throws ToyboxError; then
 * nothing is left of the copy.
 */
export async function copyLayers(container: string, layers: readonly string[]): Promise<void> {
  const { copyTree } = await import("./copy.ts")
  const { upper } = overlayLayout(container)
  const staging = stagingOf(container)
  removeTree(staging)
  try {
    for (const layer of [...layers.toReversed(), ...(exists(upper) ? [upper] : [])]) copyTree(layer, staging)
  } catch (error) {
    removeTree(staging)
    throw error
  }
  writeFile(markOf(container), "")
  settleCopy(container)
}
