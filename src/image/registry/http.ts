/**
 * HTTP as a registry client needs it, on ofetch: a limit on every wait, redirects followed by hand, and failures in words.
 * No request is made twice here: see retry.ts.
 */
import { version } from "../../../package.json"
import { ToyboxError } from "../../errors.ts"

/** Whom to believe. */
export interface Trust {
  /** Certificates (PEM) beside those that are believed anyway. */
  ca?: string | undefined
  /** A host and port whose certificate is not looked at. */
  insecureHost?: string | undefined
}

export interface HttpRequest {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE"
  url: URL
  headers?: Readonly<Record<string, string>>
  body?: Uint8Array | Blob
  trust?: Trust
  waits?: Waits
  /** False: a redirect is an answer like any other. */
  follow?: boolean
}

/** The longest waits, in milliseconds: they end what stands still, never what is slow. */
export interface Waits {
  /** For a connection and the head of the answer. */
  head: number
  /** Between two parts of the body. */
  idle: number
}

export const WAITS: Waits = { head: 30_000, idle: 60_000 }

export interface HttpResponse {
  status: number
  headers: Headers
  /** Where it came from in the end. */
  url: URL
  /** Throws TransferError where it breaks off, or stands still. To be read to its end, or given up with `cancel`. */
  body: AsyncIterable<Uint8Array>
  cancel(): void
}

/** The exchange failed on its way, so that another try may do. */
export class TransferError extends ToyboxError {
  override readonly name = "TransferError"
  readonly code: string

  constructor(message: string, code: string, hint?: string) {
    super(message, { hint })
    this.code = code
  }

  /** A name or a certificate that is wrong is so the next time, too. */
  get permanent(): boolean {
    return this.code === "ENOTFOUND" || isCertificateFault(this.code)
  }
}

const isCertificateFault = (code: string) =>
  /CERT|SIGNED|ISSUER|VERIFY|ERR_TLS/.test(code) && !code.startsWith("ERR_SSL")

/** An address for messages: without a password, and without the query, in which object stores carry a signature. */
export const shownUrl = (url: URL): string => `${url.origin}${url.pathname}`

function inWords(error: unknown, url: URL): TransferError {
  // ofetch wraps, and repeats the address with its query.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof TransferError) return cause
  const code = String((cause as { code?: unknown }).code ?? "")
  const where = shownUrl(url)
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return new TransferError(`${where}: there is no host ${url.hostname}, or no network to ask`, code)
  if (code === "ECONNREFUSED" || code === "ConnectionRefused")
    return new TransferError(`${where}: nothing answers there (connection refused)`, "ECONNREFUSED")
  if (isCertificateFault(code)) {
    return new TransferError(
      `${where}: the certificate is not to be believed (${code})`,
      code,
      "give the registry's own authority with --ca FILE; --insecure looks at no certificate",
    )
  }
  const text = cause instanceof Error ? cause.message : String(cause)
  return new TransferError(
    `${where}: ${/socket connection was closed/.test(text) ? "the connection broke" : text}`,
    code,
  )
}

async function tlsOptions(trust: Trust | undefined, url: URL) {
  if (url.protocol !== "https:" || trust === undefined) return {}
  const { ca, insecureHost } = trust
  const authorities = ca === undefined ? {} : { ca: [...(await import("node:tls")).rootCertificates, ca] }
  return { tls: { ...authorities, ...(insecureHost === url.host ? { rejectUnauthorized: false } : {}) } }
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])
const MOST_REDIRECTS = 10

async function exchange(request: HttpRequest, url: URL, headers: Record<string, string>): Promise<HttpResponse> {
  const { ofetch } = await import("ofetch")
  const waits = request.waits ?? WAITS
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout>
  const wait = (milliseconds: number, what: string) => {
    clearTimeout(timer)
    const expire = () =>
      controller.abort(
        new TransferError(`${shownUrl(url)}: ${what} for ${Math.round(milliseconds / 1000)} s`, "ETIMEDOUT"),
      )
    timer = setTimeout(expire, milliseconds)
  }
  wait(waits.head, "no answer")
  const options = {
    method: request.method,
    headers: { ...headers, "accept-encoding": "identity", "user-agent": `toybox/${version}` },
    body: request.body ?? null,
    responseType: "stream" as const,
    ignoreResponseError: true,
    retry: false as const,
    redirect: "manual" as const,
    signal: controller.signal,
    // Bun's own: what is verified are the bytes as they are stored, and its limit of five minutes ends slow downloads.
    decompress: false,
    timeout: false,
    ...(await tlsOptions(request.trust, url)),
  }
  let response: Response
  try {
    response = (await ofetch.raw(url.href, options as object)) as Response
  } catch (error) {
    throw inWords(error, url)
  } finally {
    // biome-ignore lint/style/noNonNullAssertion: wait has set it
    clearTimeout(timer!)
  }
  async function* body(): AsyncGenerator<Uint8Array> {
    if (response.body === null) return
    const reader = response.body.getReader()
    try {
      for (;;) {
        wait(waits.idle, "nothing came")
        const { done, value } = await reader.read()
        clearTimeout(timer)
        if (done) return
        yield value
      }
    } catch (error) {
      throw inWords(error, url)
    } finally {
      clearTimeout(timer)
      controller.abort()
    }
  }
  return { status: response.status, headers: response.headers, url, body: body(), cancel: () => controller.abort() }
}

const SECRET_HEADERS = ["authorization", "cookie", "proxy-authorization"]

function redirectTarget(response: HttpResponse): URL {
  const location = response.headers.get("location")
  const from = shownUrl(response.url)
  if (location === null) throw new ToyboxError(`${from}: redirects to nowhere (${response.status} without a Location)`)
  let target: URL
  try {
    target = new URL(location, response.url)
  } catch (cause) {
    throw new ToyboxError(`${from}: redirects to something that is no address`, { cause })
  }
  if (target.protocol !== "https:" && target.protocol !== "http:")
    throw new ToyboxError(`${from}: redirects to ${target.protocol}, which is not followed`)
  if (response.url.protocol === "https:" && target.protocol === "http:")
    throw new ToyboxError(`${from}: redirects from https to http (${shownUrl(target)}), which is not followed`)
  // What stands in an address is a secret that nobody has given us to use.
  target.username = target.password = ""
  return target
}

/**
 * Makes one request, following up to ten redirects of a GET or HEAD. Credentials go to no other origin (scheme, host and
 * port), and never from https to http. Throws TransferError, or ToyboxError for a redirect that is not followed.
 */
export async function send(request: HttpRequest): Promise<HttpResponse> {
  let { url } = request
  let headers: Record<string, string> = { ...request.headers }
  const follow = (request.follow ?? true) && (request.method === "GET" || request.method === "HEAD")
  for (let redirects = 0; ; redirects++) {
    const response = await exchange(request, url, headers)
    if (!follow || !REDIRECTS.has(response.status)) return response
    response.cancel()
    if (redirects === MOST_REDIRECTS)
      throw new ToyboxError(`${shownUrl(request.url)}: redirects more than ${MOST_REDIRECTS} times`)
    const target = redirectTarget(response)
    if (target.origin !== url.origin)
      headers = Object.fromEntries(
        Object.entries(headers).filter(([name]) => !SECRET_HEADERS.includes(name.toLowerCase())),
      )
    url = target
  }
}

/** The whole body, of at most `limit` bytes. */
export async function readBody(response: HttpResponse, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body) {
    size += part.length
    if (size > limit) {
      response.cancel()
      throw new ToyboxError(`${shownUrl(response.url)}: the answer has more than ${limit} bytes`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}
