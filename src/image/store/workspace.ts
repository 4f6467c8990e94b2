/** A place for files that are being made: what a killed toybox leaves of it, the next one removes. */
import type { Paths } from "../../paths.ts"
import { abandonLayer, beginLayer, removeAbandonedLayers } from "../cache/layers.ts"
import { storePaths } from "./records.ts"

export interface Workspace {
  /** An empty directory on the file system of the store; absolute. */
  readonly path: string
  /** Removes it and what is in it. */
  remove(): void
}

export function openWorkspace(paths: Paths): Workspace {
  const store = storePaths(paths)
  removeAbandonedLayers(store)
  const held = beginLayer(store)
  return { path: held.path, remove: () => abandonLayer(held) }
}
