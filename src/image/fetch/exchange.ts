/** One request and its answer: redirects, time-outs, no secrets to strangers. Retries and resuming are download.ts's. */
import { ofetch } from "ofetch"
import { version } from "../../../package.json"
import { ToyboxError } from "../../errors.ts"
import { isLoopback } from "./address.ts"
import { PassingError, transferError } from "./failure.ts"
import { isRedirect, MAX_REDIRECTS, redirectHeaders, redirectTarget } from "./redirect.ts"
import { DEFAULT_PATIENCE, type Patience } from "./retry.ts"

/** Who we are to a server that asks; PEM texts. */
export interface ClientCertificate {
  /** Host and port: nobody else is told. */
  host: string
  certificate: string
  key: string
}

export interface ExchangeOptions {
  /** GET unless said. A body is sent once only: a redirect of it is refused. */
  method?: string
  headers?: Headers | Record<string, string>
  body?: Uint8Array | Blob | string
  /** PEM texts, as trustedCertificates gives them. Null: Bun's own. */
  certificates: readonly string[] | null
  /** A host and port whose certificate is not looked at. */
  insecureHost?: string | undefined
  client?: ClientCertificate | undefined
  /** False: a redirect is an answer like any other. */
  follow?: boolean
  patience?: Patience
  /** Gives up. */
  signal?: AbortSignal
}

/** An answer; its body is as it was sent, without any transfer of coding. */
export interface Answer {
  status: number
  headers: Headers
  /** Who answered in the end. */
  url: URL
  /** The body, piece by piece. Throws PassingError where it breaks off, is shorter than was said, or stalls. */
  body: AsyncGenerator<Uint8Array, void, undefined>
  /** Closes the connection: for a body that is not read to its end. */
  cancel(): void
}

/** A promise, or the rejection of `late` after so many milliseconds or with the signal. */
async function within<T>(
  wait: Promise<T>,
  milliseconds: number,
  late: () => Error,
  abort: AbortController,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  let give: (() => void) | undefined
  const end = new Promise<never>((_, reject) => {
    give = () => reject(abort.signal.reason)
    timer = setTimeout(() => abort.abort(late()), milliseconds)
    if (abort.signal.aborted) give()
    abort.signal.addEventListener("abort", give)
  })
  try {
    return await Promise.race([wait, end])
  } finally {
    clearTimeout(timer)
    if (give) abort.signal.removeEventListener("abort", give)
    wait.catch(() => undefined)
  }
}

const tlsOptions = (url: URL, { certificates, insecureHost, client }: ExchangeOptions) => ({
  ...(certificates ? { ca: [...certificates] } : {}),
  ...(url.host === insecureHost ? { rejectUnauthorized: false } : {}),
  ...(url.host === client?.host ? { cert: client.certificate, key: client.key } : {}),
})

const seconds = (milliseconds: number) => `${Math.round(milliseconds / 100) / 10} s`

async function* pieces(
  stream: ReadableStream<Uint8Array> | null,
  url: URL,
  idle: number,
  abort: AbortController,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (stream === null) return
  const reader = stream.getReader()
  const late = () => new PassingError(`${url.host} has sent nothing for ${seconds(idle)}`)
  let ended = false
  try {
    for (;;) {
      // The clock stands still while the reader of the pieces is busy with one.
      const { done, value } = await within(reader.read(), idle, late, abort)
      if (done) break
      if (value.length > 0) yield value
    }
    ended = true
  } catch (error) {
    throw transferError(error, url)
  } finally {
    if (!ended) abort.abort(new PassingError("given up"))
  }
}

/**
 * Sends a request and waits for the head of the answer, whatever its status. The proxy variables (HTTP_PROXY, HTTPS_PROXY,
 * NO_PROXY, also in lower case) are Bun's to read, but for what is on this machine. Throws PassingError for what may pass, else ToyboxError.
 */
export async function exchange(to: URL, options: ExchangeOptions): Promise<Answer> {
  const { method = "GET", body, patience = DEFAULT_PATIENCE, follow = true } = options
  let url = to
  let headers = new Headers(options.headers)
  // What is verified is the bytes at the address, not what a server or a proxy makes of them.
  headers.set("accept-encoding", "identity")
  headers.set("user-agent", `toybox/${version}`)
  if (!headers.has("accept")) headers.set("accept", "*/*")
  for (let redirects = 0; ; redirects++) {
    const abort = new AbortController()
    const give = () => abort.abort(options.signal?.reason)
    if (options.signal?.aborted) give()
    options.signal?.addEventListener("abort", give)
    const late = () => new PassingError(`${url.host} has not answered for ${seconds(patience.answer)}`)
    let response: Response
    try {
      const request = {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        responseType: "stream",
        redirect: "manual",
        retry: 0,
        ignoreResponseError: true,
        signal: abort.signal,
        // Bun's own option, beside ofetch's: files that are labelled with a Content-Encoding stay what they are.
        decompress: false,
        // As for Go's programs: to a proxy "localhost" is another machine, and what is meant for this one may be secret.
        ...(isLoopback(url.host) ? { proxy: false } : {}),
        ...(url.protocol === "https:" ? { tls: tlsOptions(url, options) } : {}),
      } as const
      response = await within(ofetch.raw(url.href, request), patience.answer, late, abort)
    } catch (error) {
      throw transferError(error, url)
    }
    if (!follow || !isRedirect(response.status, response.headers)) {
      return {
        status: response.status,
        headers: response.headers,
        url,
        body: pieces(response.body, url, patience.idle, abort),
        cancel: () => abort.abort(new PassingError("given up")),
      }
    }
    abort.abort(new PassingError("redirected"))
    options.signal?.removeEventListener("abort", give)
    if (body !== undefined) throw new ToyboxError(`${url.host} redirects what was to be sent there`)
    if (redirects === MAX_REDIRECTS) throw new ToyboxError(`${to.host} redirects more than ${MAX_REDIRECTS} times`)
    const next = redirectTarget(url, response.headers.get("location") ?? "")
    headers = redirectHeaders(headers, url, next)
    url = next
  }
}
