/** Addresses of http and https, and what of them may be shown: RFC 3986, RFC 9110 section 4.2. */
import { UsageError } from "../../errors.ts"

/** A checked address. */
export interface Address {
  /** Without userinfo and fragment. */
  url: URL
  /** The value of an Authorization header that the userinfo stands for: RFC 7617. */
  authorization: string | undefined
}

/** Whether a word is meant as an address. */
export const isAddress = (text: string): boolean => /^https?:\/\//i.test(text)

/** Whether a host, which may have a port, is this machine by its name alone. */
export const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host)

// RFC 3927, RFC 4291 section 2.5.6; also as an address of IPv4 within one of IPv6.
const LINK_LOCAL = /^(169\.254\.|\[fe[89ab]|\[::ffff:a9fe:)/

/** Whether a server that is elsewhere names an address of this machine's link: clouds tell there what is for the machine alone. */
export const leadsToLink = (from: URL, to: URL): boolean =>
  LINK_LOCAL.test(to.hostname) && !LINK_LOCAL.test(from.hostname)

/** Text with the userinfo of every address in it taken out, for messages and records. */
export const withoutUserinfo = (text: string): string => text.replace(/(https?:\/\/)[^/?#\s]*@/gi, "$1")

/** Reads an address. Throws UsageError. */
export function parseAddress(text: string): Address {
  const shown = withoutUserinfo(text)
  const url = URL.parse(text)
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:") || url.hostname === "") {
    throw new UsageError(`${shown}: is not an address`, { hint: "use https://HOST[:PORT]/PATH" })
  }
  return split(url, shown)
}

/** An address apart from its userinfo. Throws UsageError where that is no percent-encoded UTF-8. */
export function split(url: URL, shown: string): Address {
  const bare = new URL(url)
  bare.username = ""
  bare.password = ""
  bare.hash = ""
  if (url.username === "" && url.password === "") return { url: bare, authorization: undefined }
  try {
    const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    return { url: bare, authorization: `Basic ${Buffer.from(user).toString("base64")}` }
  } catch (error) {
    throw new UsageError(`${shown}: the user or password before the host is not percent-encoded`, { cause: error })
  }
}
