/** The archive at an address, by way of the cache. */
import { ToyboxError } from "../errors.ts"
import type { Cached } from "./cache/lookup.ts"
import { type Download, download } from "./fetch/download.ts"
import { ChangedError, PassingError } from "./fetch/failure.ts"
import { DEFAULT_PATIENCE, type Patience } from "./fetch/retry.ts"
import { trustedCertificates } from "./fetch/trust.ts"
import { type Job, unpackIncoming } from "./incoming.ts"
import { formatBytes } from "./progress.ts"

// A file that changes faster than it can be fetched is not there to be run.
const MOST_STARTS = 3
// Where there is something to fall back on, nobody wants to wait long for a server that is away.
const HURRIED: Patience = { ...DEFAULT_PATIENCE, answer: 10_000, attempts: 2 }

const knownOf = ({ record }: Cached) => ({ etag: record.etag ?? null, lastModified: record.lastModified ?? null })

async function begin(job: Job, cached: Cached | null): Promise<Download | null> {
  const { source, signal, quiet, progress } = job
  const url = new URL(source.name)
  // What a checksum was asked for and is not known to have it, is wanted anew whatever the server thinks.
  const useful = cached !== null && source.checksum === null
  return download(url, {
    certificates: url.protocol === "https:" || source.ca.length > 0 ? trustedCertificates(source.ca) : null,
    signal,
    ...(source.authorization === undefined ? {} : { headers: { authorization: source.authorization } }),
    ...(useful ? { known: knownOf(cached), ...(source.pull === "newer" ? { patience: HURRIED } : {}) } : {}),
    ...(quiet ? {} : { notice: (text) => progress.note(text) }),
  })
}

const tellsState = ({ etag, lastModified }: { etag: string | null; lastModified: string | null }) =>
  etag !== null || lastModified !== null

/**
 * Fetches and unpacks; with something cached asks only whether it has changed, and takes what is cached where the server
 * cannot be had (unless always is asked for). Returns the root.
 */
export async function fetchArchive(job: Job, cached: Cached | null): Promise<string> {
  const { source, progress, quiet } = job
  if (source.pull === "never") {
    throw new ToyboxError(`${source.name} is not in the cache`, { hint: "leave out --pull never" })
  }
  if (source.checksum === null && source.name.startsWith("http:") && !quiet) {
    progress.note(
      `${source.name} is fetched without encryption and without --checksum: whoever is on the way can change it`,
    )
  }
  const usable = cached !== null && source.checksum === null && source.pull === "newer" ? cached : null
  const fallBack = (error: unknown): string => {
    if (usable === null || !(error instanceof PassingError) || job.signal.aborted) throw error
    if (!quiet) progress.note(`${error.message}: what was fetched on ${usable.record.created.slice(0, 10)} is used`)
    return usable.root
  }
  for (let start = 1; ; start++) {
    let found: Download | null
    try {
      found = await begin(job, cached)
    } catch (error) {
      return fallBack(error)
    }
    if (found === null && cached !== null) return cached.root
    if (found === null) throw new ToyboxError(`${source.name}: the server says it is known, which it is not`)
    const fresh = found
    if (cached !== null && source.checksum === null && !quiet && !tellsState(knownOf(cached))) {
      progress.note(
        `${source.name}: its server does not tell whether it has changed; --checksum or --pull missing spares fetching it again`,
      )
    }
    try {
      const { bytes, size, sha256, validators } = fresh
      const root = await unpackIncoming(job, { bytes, size, sha256, record: validators })
      progress.done(`${source.name}: ${formatBytes(progress.bytes())} fetched and unpacked`)
      return root
    } catch (error) {
      fresh.cancel()
      if (!(error instanceof ChangedError)) return fallBack(error)
      if (start === MOST_STARTS) throw error
      if (!quiet) progress.note(`${error.message}: starting again`)
    }
  }
}
