/** Uploads of blobs: distribution spec, "Pushing blobs". */
import { ToyboxError } from "../../errors.ts"
import type { Answer } from "../fetch/exchange.ts"
import { PassingError } from "../fetch/failure.ts"
import { shownUrl } from "./answer.ts"
import { hasBlob } from "./blobs.ts"
import { addressIn, call, type Repository } from "./client.ts"
import { registryError } from "./errors.ts"
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
  return url
}

const withDigest = (url: URL, digest: string): URL => {
  const complete = new URL(url)
  complete.searchParams.set("digest", digest)
  return complete
}

const push = { actions: "pull,push" } as const

async function start(repository: Repository, upload: Upload, what: string, mountFrom: string | undefined) {
  const query = mountFrom === undefined ? "" : `?${new URLSearchParams({ mount: upload.digest, from: mountFrom })}`
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

/** How far a broken upload has got: "Range: 0-N". Null where the registry has given it up. */
async function progressOf(repository: Repository, what: string, url: URL) {
  const response = await call(repository, what, { method: "GET", at: url, ...push })
  response.cancel()
  if (response.status !== 204) return null
  const end = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.get("range") ?? "")?.[1]
  // An empty upload is "0-0", too, in the reference registry; a byte sent again at its place is refused, and so found out.
  return { url: nextAddress(repository, response), position: end === undefined || end === "0" ? 0 : Number(end) + 1 }
}

async function chunks(
  repository: Repository,
  upload: Upload,
  what: string,
  first: URL,
  options: UploadOptions,
): Promise<URL> {
  const size = options.chunk ?? CHUNK
  let url = first
  let attempt = 1
  for (let position = 0; position < upload.size; ) {
    const end = Math.min(position + size, upload.size)
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
      if (response.status >= 500 || response.status === 416) {
        response.cancel()
        throw new PassingError(`${what}: the registry answers ${response.status} to a part of the upload`)
      }
      if (response.status !== 202) throw await registryError(response, what, repository.host)
      response.cancel()
      url = nextAddress(repository, response)
      options.progress?.(end - position)
      position = end
      attempt = 1
    } catch (error) {
      await pause(repository.transport, attempt++, error)
      const found = await progressOf(repository, what, url)
      if (found === null || found.position > upload.size) throw error
      url = found.url
      position = found.position
    }
  }
  return url
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
  const what = `${repository.host}/${repository.path}@${upload.digest}`
  if (await hasBlob(repository, upload.digest)) return "existed"
  const started = await start(repository, upload, what, options.mountFrom)
  if (started.status === 201) return "mounted"
  let url = nextAddress(repository, started)
  const whole = upload.size <= (options.chunk ?? CHUNK)
  if (!whole) url = await chunks(repository, upload, what, url, options)
  const response = await call(repository, what, {
    method: "PUT",
    at: withDigest(url, upload.digest),
    headers: { "content-type": "application/octet-stream" },
    body: whole ? upload.slice(0, upload.size) : new Uint8Array(0),
    ...push,
    repeat: !whole || upload.size > 0,
    patience: PATIENCE + upload.size / SLOWEST,
  })
  if (response.status !== 201) throw await registryError(response, what, repository.host)
  response.cancel()
  if (whole) options.progress?.(upload.size)
  return "uploaded"
}
