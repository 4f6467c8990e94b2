/** Going on with a file where a broken transfer ended: RFC 9110 sections 13.1.5 and 14. */

/** What a server tells of the state of a file, for later conditional requests. */
export interface Validators {
  etag: string | null
  lastModified: string | null
}

export const validatorsOf = (headers: Headers): Validators => ({
  etag: headers.get("etag"),
  lastModified: headers.get("last-modified"),
})

/** The headers that ask for a file only if it is not the one known: RFC 9110 section 13.1. */
export function conditionalHeaders({ etag, lastModified }: Validators): Record<string, string> {
  return {
    ...(etag === null ? {} : { "if-none-match": etag }),
    ...(lastModified === null ? {} : { "if-modified-since": lastModified }),
  }
}

/**
 * The validator that tells two states of a file apart to the byte; null where there is none. A time of change does so only
 * if it was at least a second old when the server told it.
 */
export function strongValidator(headers: Headers): string | null {
  const { etag, lastModified } = validatorsOf(headers)
  if (etag !== null) return /^"[^"]*"$/.test(etag) ? etag : null
  const age = Date.parse(headers.get("date") ?? "") - Date.parse(lastModified ?? "")
  return lastModified !== null && age >= 1000 ? lastModified : null
}

/** What a Content-Range header says, in bytes; null where it is malformed. `total` null: the server does not know. */
export function parseContentRange(header: string | null): { start: number; end: number; total: number | null } | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header ?? "")
  if (!match) return null
  const [start, end] = [Number(match[1]), Number(match[2])]
  const total = match[3] === "*" ? null : Number(match[3])
  return end < start || (total !== null && end >= total) ? null : { start, end, total }
}

/** The length of a body as its answer says it; null where it does not. */
export function contentLength(headers: Headers): number | null {
  const text = headers.get("content-length")
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
}
