/** The archive at an address, by way of the cache. */
import { ToyboxError } from "../errors.ts"
import type { Cached } from "./cache/lookup.ts"
import { type Download, download } from "./fetch/download.ts"
import { ChangedError, PassingError } from "./fetch/failure.ts"
import { trustedCertificates } from "./fetch/trust.ts"
import { type Job, unpackIncoming } from "./incoming.ts"
import { formatBytes } from "./progress.ts"

// A file that changes faster than it can be fetched is not there to be run.
const MOST_STARTS = 3

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
    ...(useful ? { known: knownOf(cached), ...(source.pull === "newer" ? { startAttempts: 2 } : {}) } : {}),
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
  for (let start = 1; ; start++) {
    let found: Download | null
    try {
      found = await begin(job, cached)
    } catch (error) {
      const usable = cached !== null && source.checksum === null && source.pull === "newer"
      if (!usable || !(error instanceof PassingError) || job.signal.aborted) throw error
      if (!quiet) progress.note(`${error.message}: what was fetched on ${cached.record.created.slice(0, 10)} is used`)
      return cached.root
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
      const root = await unpackIncoming(job, {
        bytes: fresh.bytes,
        size: fresh.size,
        sha256: fresh.sha256,
        record: fresh.validators,
      })
      progress.done(`${source.name}: ${formatBytes(fresh.size ?? 0)} fetched and unpacked`)
      return root
    } catch (error) {
      fresh.cancel()
      if (!(error instanceof ChangedError) || start === MOST_STARTS) throw error
      if (!quiet) progress.note(`${error.message}: starting again`)
    }
  }
}
