/** Blobs: distribution spec, "Pulling blobs". What comes is verified while it comes. */
import { ToyboxError } from "../../errors.ts"
import { BadBytes, splitDigest } from "../digest.ts"
import { leadsToLink } from "../fetch/address.ts"
import { type Answer, exchange } from "../fetch/exchange.ts"
import { PassingError } from "../fetch/failure.ts"
import { contentLength, parseContentRange } from "../fetch/range.ts"
import type { Descriptor } from "../manifest.ts"
import { shownUrl } from "./answer.ts"
import { call, type Repository } from "./client.ts"
import { registryError } from "./errors.ts"
import { pause, withRetries } from "./transport.ts"

/** Whether the repository has a blob. */
export async function hasBlob(repository: Repository, digest: string): Promise<boolean> {
  const what = `${repository.host}/${repository.path}@${digest}`
  const response = await call(repository, what, { method: "HEAD", at: `blobs/${digest}`, actions: "pull,push" })
  response.cancel()
  if (response.status === 404) return false
  if (response.status !== 200) throw await registryError(response, what, repository.host)
  return true
}

/** Ways to a blob: the repository, then what the descriptor names. */
async function request(repository: Repository, blob: Descriptor, what: string, from: number): Promise<Answer> {
  const headers = from > 0 ? { range: `bytes=${from}-` } : {}
  const response = await call(repository, what, { method: "GET", at: `blobs/${blob.digest}`, headers })
  if (response.status !== 404) return response
  // Where content may not be redistributed the registry has it not; nobody but us and its owner is to know who we are.
  for (const text of blob.urls ?? []) {
    const url = URL.canParse(text) ? new URL(text) : null
    if (url?.protocol !== "https:" && !(url?.protocol === "http:" && repository.base.protocol === "http:")) continue
    if (leadsToLink(repository.base, url)) continue
    response.cancel()
    const elsewhere = await withRetries(repository.transport, () => exchange(url, { ...repository.transport, headers }))
    if (elsewhere.status === 200 || elsewhere.status === 206) return elsewhere
    elsewhere.cancel()
  }
  return response
}

/** Opens a blob at a byte; returns how many bytes of what comes are to be passed over. */
async function openAt(repository: Repository, blob: Descriptor, what: string, from: number) {
  const response = await request(repository, blob, what, from)
  if (response.status === 206) {
    const range = parseContentRange(response.headers.get("content-range"))
    if (range === null || range.start > from || (range.total !== null && range.total !== blob.size)) {
      response.cancel()
      throw new ToyboxError(`${what}: ${shownUrl(response.url)} gives another part than was asked for`)
    }
    return { response, skip: from - range.start }
  }
  if (response.status !== 200) throw await registryError(response, what, repository.host)
  const length = contentLength(response.headers)
  if (length !== null && length !== blob.size) {
    response.cancel()
    throw new ToyboxError(`${what}: ${length} bytes are offered, ${blob.size} were promised`)
  }
  // A server that knows no ranges begins again; the digest tells in the end whether it was the same.
  return { response, skip: from }
}

/**
 * The bytes of a blob. A connection that breaks or stands still is taken up again where it broke off. The last part is
 * given only when size and digest are right, so that a stream that has ended was right. Throws ToyboxError.
 */
export async function* readBlob(repository: Repository, blob: Descriptor): AsyncGenerator<Uint8Array> {
  const what = `${repository.host}/${repository.path}@${blob.digest}`
  if (blob.data !== undefined) {
    yield blob.data
    return
  }
  const { algorithm } = splitDigest(blob.digest)
  const hasher = new Bun.CryptoHasher(algorithm)
  let position = 0
  let held: Uint8Array | null = null
  for (let attempt = 1; position < blob.size || attempt === 1; ) {
    const before = position
    // Has its own tries.
    let { response, skip } = await openAt(repository, blob, what, position)
    try {
      for await (const part of response.body) {
        const fresh = part.subarray(Math.min(skip, part.length))
        skip -= part.length - fresh.length
        if (fresh.length === 0) continue
        position += fresh.length
        if (position > blob.size) {
          response.cancel()
          throw new BadBytes(`${what}: more than the promised ${blob.size} bytes come`)
        }
        hasher.update(fresh)
        if (held) yield held
        held = fresh
      }
      if (position === blob.size) break
      throw new PassingError(`${what}: ${position} of ${blob.size} bytes came`)
    } catch (error) {
      // Who makes progress is not at the end of his tries.
      attempt = position > before ? 1 : attempt
      await pause(repository.transport, attempt, error)
      attempt++
    }
  }
  const digest = `${algorithm}:${hasher.digest("hex")}`
  if (digest !== blob.digest)
    throw new BadBytes(`${what}: the bytes are not what the digest says: what came is ${digest}`, {
      hint: "the registry, or something between it and here, is broken or hostile",
    })
  if (held) yield held
}

/** A small blob as a whole. */
export async function getBlob(repository: Repository, blob: Descriptor): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of readBlob(repository, blob)) parts.push(part)
  return Buffer.concat(parts)
}
