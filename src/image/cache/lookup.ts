/** The way of a run whose archive is in the cache: a few calls, nothing fetched, read or unpacked. */
import { fileIdentity } from "../../../ffi/file-identity.ts"
import type { Paths } from "../../paths.ts"
import { holdLayer } from "./layers.ts"
import { readSource, type SourceKind, type SourceRecord, touchSource } from "./sources.ts"

/** A source with its layer, which is held until this process ends. */
export interface Cached {
  record: SourceRecord
  root: string
}

/** What the cache has for a source; null where its layer is gone, too. `digest`: only if it is known to be the archive's. */
export function findCached(paths: Paths, kind: SourceKind, name: string, digest: string | null): Cached | null {
  const record = readSource(paths, kind, name)
  if (record === null || (digest !== null && !record.digests.includes(digest))) return null
  const root = holdLayer(paths, record.diffId)
  if (root === null) return null
  touchSource(paths, kind, name)
  return { record, root }
}

/** The root of an archive file that is as it was when it was unpacked; null otherwise. */
export function findCachedFile(paths: Paths, path: string, digest: string | null): string | null {
  const record = readSource(paths, "file", path)
  if (record === null || record.identity !== fileIdentity(path)) return null
  return findCached(paths, "file", path, digest)?.root ?? null
}
