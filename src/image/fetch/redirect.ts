/** Redirects, followed by hand so that nothing secret goes to another host: RFC 9110 section 15.4. */
import { ToyboxError } from "../../errors.ts"
import { leadsToLink } from "./address.ts"

const REDIRECTS = [301, 302, 303, 307, 308]
const PUBLIC = new Set([
  "accept",
  "accept-encoding",
  "range",
  "if-range",
  "if-none-match",
  "if-modified-since",
  "user-agent",
])

/** Most redirects that are followed for one request. */
export const MAX_REDIRECTS = 10

/** Whether an answer sends the request elsewhere. */
export const isRedirect = (status: number, headers: Headers): boolean =>
  REDIRECTS.includes(status) && headers.has("location")

/**
 * Where a redirect leads. Throws where it leads from https to http, to no http at all, or to a link-local address; userinfo in it is dropped.
 */
export function redirectTarget(from: URL, location: string): URL {
  const to = URL.parse(location, from.href)
  if (!to || (to.protocol !== "http:" && to.protocol !== "https:")) {
    throw new ToyboxError(`${from.host} redirects to something that is not an address of http or https`)
  }
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw new ToyboxError(`${from.host} redirects from https to http (${to.host}), which is refused`, {
      hint: "name the address it should be by itself, with --checksum",
    })
  }
  if (leadsToLink(from, to)) throw new ToyboxError(`${from.host} redirects to ${to.host}, a link-local address`)
  to.username = ""
  to.password = ""
  to.hash = ""
  return to
}

/**
 * The headers to send to a redirect's target: to another origin only those that hold nothing secret. Scheme and port
 * count, too, for another service may listen there.
 */
export function redirectHeaders(headers: Headers, from: URL, to: URL): Headers {
  if (from.origin === to.origin) return headers
  return new Headers([...headers].filter(([name]) => PUBLIC.has(name)))
}
