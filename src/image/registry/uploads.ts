/** Uploads of blobs: distribution spec, "Pushing blobs". */
import { ToyboxError } from "../../errors.ts"
import { leadsToLink } from "../fetch/address.ts"
import type { Answer } from "../fetch/exchange.ts"
import { PassingError } from "../fetch/failure.ts"
import { isPassing, retryAfter } from "../fetch/retry.ts"
import { shownUrl } from "./answer.ts"
import { hasBlob } from "./blobs.ts"
import { addressIn, call, type Repository } from "./client.ts"
import { RegistryError, registryError } from "./errors.ts"
import { pause } from "./transport.ts"

/** What is to be stored. */
export interface Upload {
  digest: string
  /** Bytes. */
  size: number
  /** A part of the content: it may be asked for again. */
  slice(start: number, end: number): Uint8Array | Blob
}

export interface UploadOptions {
  /** A repository of the same registry that may have the blob already. */
  mountFrom?: string | undefined
  /** The most bytes of one request; what is not larger goes in one. */
  chunk?: number
  progress?: (bytes: number) => void
}

/** How it came there. */
export type Uploaded = "existed" | "mounted" | "uploaded"

const CHUNK = 16 * 1024 * 1024
// Bytes in a millisecond: slower than this is standing still.
const SLOWEST = 10
const PATIENCE = 60_000

/** Where an upload goes on. It may be another host, which then gets no credentials, but never one without encryption. */
function nextAddress(repository: Repository, response: Answer): URL {
  const location = response.headers.get("location")
  if (location === null || !URL.canParse(location, response.url.href))
    throw new ToyboxError(`${repository.host}: the registry does not say where the upload goes on`)
  const url = new URL(location, response.url)
  if (url.protocol !== "https:" && (url.protocol !== "http:" || repository.base.protocol === "https:"))
    throw new ToyboxError(`${repository.host}: the upload would go on at ${shownUrl(url)}, which is not encrypted`)
  if (leadsToLink(response.url, url))
    throw new ToyboxError(`${repository.host}: the upload would go on at ${shownUrl(url)}, a link-local address`)
  return url
}

const withDigest = (url: URL, digest: string): URL => {
  const complete = new URL(url)
  complete.searchParams.set("digest", digest)
  return complete
}

const push = { actions: "pull,push" } as const

/** Asks for an upload, or (201) for a blob of another repository of the registry. */
async function start(repository: Repository, digest: string, what: string, mountFrom: string | undefined) {
  const query = mountFrom === undefined ? "" : `?${new URLSearchParams({ mount: digest, from: mountFrom })}`
  const at = addressIn(repository, `blobs/uploads/${query}`)
  const scopes = mountFrom === undefined ? [] : [`repository:${mountFrom}:pull`]
  const response = await call(repository, what, {
    method: "POST",
    at,
    ...push,
    scopes,
    headers: { "content-length": "0" },
  })
  if (response.status !== 201 && response.status !== 202) throw await registryError(response, what, repository.host)
  response.cancel()
  return response
}

/** As start; who may not read the other repository, or whose registry knows no mounting, uploads. */
async function startOrMount(repository: Repository, digest: string, what: string, mountFrom: string | undefined) {
  if (mountFrom === undefined) return start(repository, digest, what, undefined)
  try {
    return await start(repository, digest, what, mountFrom)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return start(repository, digest, what, undefined)
  }
}

/** An answer that is not the one that was hoped for: what may pass as PassingError. */
async function refusal(repository: Repository, response: Answer, what: string): Promise<Error> {
  const { status, headers } = response
  const error = await registryError(response, what, repository.host)
  // The registry has lost the upload, or is at another place of it.
  const isLost = status === 404 || status === 416
  return isLost || isPassing(status)
    ? new PassingError(error.message, { retryAfter: retryAfter(headers.get("retry-after")) })
    : error
}

/** How far a broken upload has got: "Range: 0-N". Null where the registry has given it up. */
async function progressOf(repository: Repository, what: string, url: URL) {
  const response = await call(repository, what, { method: "GET", at: url, ...push })
  response.cancel()
  if (response.status !== 204) return null
  const end = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.get("range") ?? "")?.[1]
  // An empty upload is "0-0", too, in the reference registry; a byte sent again at its place is refused, and so found out.
  return { url: nextAddress(repository, response), position: end === undefined || end === "0" ? 0 : Number(end) + 1 }
}

/** What is being sent, and how much of it has been told to be there. */
interface Sending {
  repository: Repository
  upload: Upload
  what: string
  chunk: number
  told(position: number): void
}

async function chunks({ repository, upload, what, chunk, told }: Sending, first: URL): Promise<URL> {
  let url = first
  let attempt = 1
  for (let position = 0; position < upload.size; told(position)) {
    const end = Math.min(position + chunk, upload.size)
    try {
      const response = await call(repository, what, {
        method: "PATCH",
        at: url,
        headers: { "content-type": "application/octet-stream", "content-range": `${position}-${end - 1}` },
        body: upload.slice(position, end),
        ...push,
        repeat: false,
        patience: PATIENCE + (end - position) / SLOWEST,
      })
      if (response.status !== 202) throw await refusal(repository, response, what)
      response.cancel()
      url = nextAddress(repository, response)
      position = end
      attempt = 1
    } catch (error) {
      await pause(repository.transport, attempt++, error)
      const found = await progressOf(repository, what, url)
      if (found === null || found.position > upload.size)
        throw new PassingError(`${what}: the registry has given up the upload`)
      // Who makes progress is not at the end of his tries.
      if (found.position > position) attempt = 1
      url = found.url
      position = found.position
    }
  }
  return url
}

/** Sends all of it, from its beginning. */
async function send(sending: Sending, first: URL): Promise<void> {
  const { repository, upload, what, chunk, told } = sending
  const whole = upload.size <= chunk
  const url = whole ? first : await chunks(sending, first)
  const response = await call(repository, what, {
    method: "PUT",
    at: withDigest(url, upload.digest),
    headers: { "content-type": "application/octet-stream" },
    body: whole ? upload.slice(0, upload.size) : new Uint8Array(0),
    ...push,
    repeat: false,
    patience: PATIENCE + upload.size / SLOWEST,
  })
  if (response.status !== 201) throw await refusal(repository, response, what)
  response.cancel()
  told(upload.size)
}

const named = ({ host, path }: Repository, digest: string) => `${host}/${path}@${digest}`

/** Gives an upload back, which the registry would else keep until it tires of it; many let nobody who may only push do so. */
async function giveUp(repository: Repository, what: string, started: Answer): Promise<void> {
  try {
    const at = nextAddress(repository, started)
    const answer = await call(repository, what, { method: "DELETE", at, ...push, repeat: false })
    answer.cancel()
  } catch (error) {
    if (!(error instanceof ToyboxError)) throw error
  }
}

/** Lets the registry have a blob without sending it, if it can; null where it must be sent. Throws ToyboxError. */
export async function offerBlob(
  repository: Repository,
  digest: string,
  mountFrom: string | undefined,
): Promise<"existed" | "mounted" | null> {
  const what = named(repository, digest)
  if (await hasBlob(repository, digest)) return "existed"
  if (mountFrom === undefined) return null
  const started = await startOrMount(repository, digest, what, mountFrom)
  if (started.status === 201) return "mounted"
  await giveUp(repository, what, started)
  return null
}

/**
 * Stores a blob, unless the registry has it: by mounting it from another repository where that is known, else in one
 * request or, beyond a chunk's size, in several, which are taken up again where they broke off. Throws ToyboxError.
 */
export async function uploadBlob(
  repository: Repository,
  upload: Upload,
  options: UploadOptions = {},
): Promise<Uploaded> {
  const { digest } = upload
  const what = named(repository, digest)
  if (await hasBlob(repository, digest)) return "existed"
  const started = await startOrMount(repository, digest, what, options.mountFrom)
  if (started.status === 201) return "mounted"
  let sent = 0
  const told = (position: number) => {
    options.progress?.(position - sent)
    sent = position
  }
  const sending = { repository, upload, what, chunk: options.chunk ?? CHUNK, told }
  let url = nextAddress(repository, started)
  for (let attempt = 1; ; attempt++) {
    try {
      await send(sending, url)
      return "uploaded"
    } catch (error) {
      await pause(repository.transport, attempt, error)
      // What was lost may have been the answer alone.
      if (await hasBlob(repository, digest)) return "uploaded"
      told(0)
      url = nextAddress(repository, await start(repository, digest, what, undefined))
    }
  }
}
