/** Failed transfers in words, and which of them may pass. */
import { ToyboxError } from "../../errors.ts"
import { isLoopback, withoutUserinfo } from "./address.ts"

const CHECK = "check the network, or try again later"

export interface PassingOptions {
  retryAfter?: number | null
  soon?: boolean
  hint?: string
}

/** A transfer that failed by something that may pass: a connection, a server that is busy. */
export class PassingError extends ToyboxError {
  /** What the server asks to wait, in milliseconds. */
  readonly retryAfter: number | null
  /** It is to be expected to pass in a moment. */
  readonly soon: boolean

  constructor(message: string, { retryAfter = null, soon = true, hint = CHECK }: PassingOptions = {}) {
    super(message, { hint })
    this.retryAfter = retryAfter
    this.soon = soon
  }
}

/** The file is not the one any more of which a part has been read. The caller starts again from nothing. */
export class ChangedError extends ToyboxError {}

// How Bun names what goes wrong below HTTP.
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection is refused",
  ECONNRESET: "the connection broke",
  ConnectionClosed: "the connection broke",
  ENOTFOUND: "the host is not known",
  EAI_AGAIN: "the name server does not answer",
  ETIMEDOUT: "the connection timed out",
  Timeout: "the connection timed out",
  EHOSTUNREACH: "there is no way to the host",
  ENETUNREACH: "there is no network",
  FailedToOpenSocket: "no connection is made",
}

// Of a name that is not known nobody asks again at once; a name server that does not answer is another thing.
const LATER = new Set(["ENOTFOUND"])

// Trying again would not change them.
const LASTING: Readonly<Record<string, string>> = {
  UnsupportedProxyProtocol: "it is not one of http or https",
  InvalidHTTPResponse: "the answer is not HTTP",
  Malformed_HTTP_Response: "the answer is not HTTP",
}

function codeOf(error: unknown): string {
  for (let e = error; e instanceof Error; e = e.cause) {
    if ("code" in e && typeof e.code === "string" && e.code !== "") return e.code
  }
  return ""
}

function isCertificate(code: string): boolean {
  return /CERT|SIGNATURE|ISSUER|ERR_TLS|CRL/.test(code)
}

/** Whether NO_PROXY, a list with commas, has a host, or a domain that it is in. */
const isExcepted = (host: string, list: string): boolean =>
  list
    .split(",")
    .map((entry) => entry.trim().replace(/^\*?\./, ""))
    .some((entry) => entry === "*" || (entry !== "" && (host === entry || host.endsWith(`.${entry}`))))

/** The proxy that the environment names for an address, as it may be shown; null where there is none. */
export function proxyOf(url: URL, env: Readonly<Record<string, string | undefined>> = process.env): string | null {
  const read = (name: string) => env[name] || env[name.toUpperCase()] || ""
  const proxy = read(url.protocol === "https:" ? "https_proxy" : "http_proxy")
  if (proxy === "" || isLoopback(url.host) || isExcepted(url.hostname, read("no_proxy"))) return null
  return proxy.replace(/^([a-z0-9+.-]+:\/\/)?[^/]*@/i, "$1")
}

/** What fetch(), or reading its body, threw → an error that names the host, and the proxy on the way to it. */
export function transferError(error: unknown, url: URL): ToyboxError {
  if (error instanceof ToyboxError) return error
  const code = codeOf(error)
  const proxy = proxyOf(url)
  const where = proxy === null ? url.host : `${url.host}, through the proxy ${proxy}`
  if (isCertificate(code)) {
    return new ToyboxError(`${where}: its certificate is not trusted (${code})`, {
      hint: "if it is signed by a CA of your own, give that with --ca FILE",
    })
  }
  if (code === "EPROTO") {
    const hint =
      "plain http is spoken where it is asked for: --insecure with a registry, http:// in an address; " +
      "what registries are to be shown lies in /etc/toybox/certs.d/HOST: NAME.cert and NAME.key"
    return new PassingError(
      `${where}: the TLS handshake failed: perhaps it speaks plain http, or wants a certificate (${code})`,
      {
        soon: false,
        hint,
      },
    )
  }
  const lasting = LASTING[code]
  if (lasting) return new ToyboxError(`${where}: ${lasting} (${code})`)
  const said = error instanceof Error ? withoutUserinfo(error.message) : String(error)
  return new PassingError(`${where}: ${WORDS[code] ?? said}${code === "" ? "" : ` (${code})`}`, {
    soon: !LATER.has(code),
  })
}

const HINTS: Readonly<Record<number, string>> = {
  401: "give a user and password: https://USER:PASSWORD@HOST/…",
  403: "the server does not give it to you",
  404: "there is nothing at this address: check it for typing errors",
  410: "there is nothing at this address any more",
}

/** The error of an answer that is not the wanted one. */
export function statusError(status: number, url: URL, passing: boolean, wait: number | null): ToyboxError {
  const message = `${url.host} answers with status ${status} for ${url.pathname}`
  return passing ? new PassingError(message, { retryAfter: wait }) : new ToyboxError(message, { hint: HINTS[status] })
}
