/** The cache as people see it: layers with what they are found by, and who uses them. */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { layerFacts, layerPath, layerRoot, listLayers, removeAbandonedLayers, removeLayer } from "./layers.ts"
import { listSources, removeSource, type SourceKind, type UsedSource } from "./sources.ts"

export interface CachedLayer {
  /** sha256:<hex> of the tar stream. */
  digest: string
  /** Of the tar stream, in bytes. */
  size: number
  entries: number
  /** ISO 8601. */
  created: string
  lastUsed: string
  sources: { kind: SourceKind; name: string; digests: readonly string[]; size: number }[]
  /** Ids of containers, running or kept. */
  usedBy: string[]
}

/** Containers by the root that they stand on. */
export type Users = ReadonlyMap<string, readonly string[]>

/** Every layer; the one used last comes first. What killed commands have left is removed. */
export function listCache(paths: Paths, users: Users): CachedLayer[] {
  removeAbandonedLayers(paths)
  const sources = listSources(paths)
  const layers = listLayers(paths).map((digest): CachedLayer => {
    const facts = layerFacts(paths, digest)
    const own = sources.filter(({ diffId }) => diffId === digest)
    const created = facts?.created ?? new Date(0).toISOString()
    return {
      digest,
      size: facts?.bytes ?? 0,
      entries: facts?.entries ?? 0,
      created,
      lastUsed: new Date(Math.max(Date.parse(created), ...own.map(({ used }) => used))).toISOString(),
      sources: own.map(({ kind, name, digests, size }) => ({ kind, name, digests, size })),
      usedBy: [...(users.get(layerRoot(layerPath(paths, digest))) ?? [])],
    }
  })
  return layers.sort((a, b) => (a.lastUsed < b.lastUsed ? 1 : -1))
}

const HEX = /^(sha256:)?[0-9a-f]{4,64}$/

/**
 * The layer that somebody means by an id (or its beginning), an address, a path or an archive's digest; null where there is
 * none. Throws where it is more than one.
 */
export function findLayer(layers: readonly CachedLayer[], reference: string, path: string): CachedLayer | null {
  const named = layers.filter(({ sources }) =>
    sources.some(({ kind, name }) => name === (kind === "file" ? path : reference)),
  )
  const hex = reference.replace(/^sha256:/, "")
  const found =
    named.length > 0 || !HEX.test(reference)
      ? named
      : layers.filter(({ digest }) => digest.slice("sha256:".length).startsWith(hex))
  if (found.length > 1)
    throw new ToyboxError(`"${reference}" is the beginning of ${found.length} ids in the cache: give more of it`)
  return found[0] ?? null
}

/** Removes a layer and what leads to it. Throws where a container uses it; `users` is asked again under the lock. */
export function removeCached(paths: Paths, { digest }: CachedLayer, users: () => Users): void {
  const root = layerRoot(layerPath(paths, digest))
  let ids: readonly string[] = []
  const inUse = () => {
    ids = users().get(root) ?? []
    return ids.length > 0
  }
  if (!removeLayer(paths, digest, inUse)) {
    const kept = ids.map((id) => id.slice(0, 12)).join(" ")
    throw new ToyboxError(
      `${digest.slice(7, 19)} is in use by ${kept === "" ? "a toybox that is running" : `container ${kept}`}`,
      { hint: kept === "" ? "end its container first" : `remove it first: toybox rm ${kept}` },
    )
  }
  removeSources(paths, (source) => source.diffId === digest)
}

/** Forgets sources. */
function removeSources(paths: Paths, chosen: (source: UsedSource) => boolean): void {
  for (const { kind, name } of listSources(paths).filter(chosen)) removeSource(paths, kind, name)
}

/** Removes every layer that no container uses, of those that are chosen, and records that lead nowhere. Returns what was removed. */
export function pruneCache(
  paths: Paths,
  users: () => Users,
  isChosen: (layer: CachedLayer) => boolean = () => true,
): CachedLayer[] {
  const layers = listCache(paths, users()).filter(isChosen)
  const removed = layers.filter(({ digest }) => {
    const root = layerRoot(layerPath(paths, digest))
    return removeLayer(paths, digest, () => users().has(root))
  })
  const left = new Set(listLayers(paths))
  removeSources(paths, ({ diffId }) => !left.has(diffId))
  return removed
}
