/** What a run is given in the place of a directory, and what the cache has for it. */
import type { Paths } from "../paths.ts"
import { findCached, findCachedFile } from "./cache/lookup.ts"
import type { Checksum } from "./checksum.ts"

/** When the server of an address is asked: as podman's --pull has it. */
export type PullPolicy = "always" | "newer" | "missing" | "never"

/** What is to be unpacked. */
export interface ArchiveSource {
  kind: "file" | "address"
  /** An absolute path, or an address without userinfo. */
  name: string
  checksum: Checksum | null
  pull: PullPolicy
  /** Files with further certificates to trust. */
  ca: readonly string[]
  /** The value of an Authorization header. */
  authorization: string | undefined
}

/** The cached root of a source, where that needs no look at a server; null otherwise. A few calls. */
export function cachedRoot(source: ArchiveSource, paths: Paths): string | null {
  const { kind, name, checksum, pull } = source
  if (kind === "file") return findCachedFile(paths, name, checksum?.text ?? null)
  if (checksum !== null) {
    const root = findCached(paths, "digest", checksum.text, checksum.text)?.root
    if (root !== undefined) return root
  }
  if (pull !== "missing" && pull !== "never") return null
  return findCached(paths, "address", name, checksum?.text ?? null)?.root ?? null
}
