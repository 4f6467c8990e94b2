/** Tokens and passwords of a registry: Docker's token authentication (token.md, oauth.md) and RFC 7617. */
import { ToyboxError } from "../../errors.ts"
import { count, decodeJson, fault, member, optional, string } from "../decode.ts"
import { leadsToLink } from "../fetch/address.ts"
import { type Answer, type ExchangeOptions, exchange } from "../fetch/exchange.ts"
import { readBody, shownUrl } from "./answer.ts"
import { type Challenge, parseChallenges } from "./challenge.ts"
import type { Credentials } from "./credential-helper.ts"
import { registryError } from "./errors.ts"
import { type Transport, withRetries } from "./transport.ts"

/** The registry that is spoken to, and who speaks. */
export interface AuthContext {
  /** Where the registry is. */
  base: URL
  /** As people know it, for messages. */
  host: string
  credentials: Credentials | null
  transport: Transport
}

interface Token {
  value: string
  /** Milliseconds, by performance.now(): the wall clock may jump. */
  expires: number
}

/** Remembers what a registry wants, and the tokens it has given. */
export interface Authorizer {
  /** The Authorization for requests of a scope ("repository:library/alpine:pull"), as far as it is known what is wanted. */
  header(scope: string): Promise<string | undefined>
  /** Learns from the 401 to a request that was `sent` with this Authorization. False: there is nothing left to try. */
  challenged(response: Answer, scope: string, sent: string | undefined): boolean
}

const MAX_TOKEN = 1024 * 1024
const DEFAULT_LIFE = 60
// A token that expires on its way is refused.
const MARGIN = 10_000

export const basic = ({ username, password }: { username: string; password: string }): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`

const isAddress = (host: string) => /^\d+(\.\d+){3}$/.test(host) || host.startsWith("[")

/**
 * Where tokens are had. A registry names it, and so could send us, and a password, anywhere: GHSA-jxpm-75mh-9fp7 and its like.
 */
function realmOf(challenge: Challenge, { base, host }: AuthContext): URL {
  const refuse = (why: string) =>
    new ToyboxError(`${host}: the registry names a place for tokens that is not asked: ${why}`)
  let realm: URL
  try {
    realm = new URL(challenge.parameters.realm ?? "")
  } catch {
    throw refuse("it is no address")
  }
  if (realm.protocol !== "https:" && realm.protocol !== "http:") throw refuse(`${realm.protocol} is not http`)
  if (base.protocol === "https:" && realm.protocol === "http:") throw refuse(`${shownUrl(realm)} is not encrypted`)
  const sameHost = realm.hostname === base.hostname
  if (!sameHost && isAddress(realm.hostname) && !isAddress(base.hostname))
    throw refuse(`${shownUrl(realm)} is a bare number, and not the registry's`)
  if (leadsToLink(base, realm)) throw refuse(`${shownUrl(realm)} is a link-local address`)
  realm.username = realm.password = ""
  return realm
}

function tokenRequest(
  challenge: Challenge,
  scope: string,
  context: AuthContext,
): { url: URL; options: ExchangeOptions } {
  const realm = realmOf(challenge, context)
  const { service } = challenge.parameters
  const { credentials } = context
  // Many token servers take each parameter for one scope.
  const scopes = new Set(`${challenge.parameters.scope ?? ""} ${scope}`.split(" ").filter((text) => text !== ""))
  // A redirect would take the password along, or lose it.
  const common = { ...context.transport, follow: false }
  if (credentials?.kind === "identity-token") {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: credentials.token,
      client_id: "toybox",
      ...(service === undefined ? {} : { service }),
      ...(scopes.size === 0 ? {} : { scope: [...scopes].join(" ") }),
    })
    const headers = { "content-type": "application/x-www-form-urlencoded" }
    return { url: realm, options: { ...common, method: "POST", headers, body: form.toString() } }
  }
  if (service !== undefined) realm.searchParams.set("service", service)
  for (const text of scopes) realm.searchParams.append("scope", text)
  if (credentials?.kind === "password") realm.searchParams.set("account", credentials.username)
  const headers = credentials?.kind === "password" ? { authorization: basic(credentials) } : {}
  return { url: realm, options: { ...common, headers } }
}

async function fetchToken(challenge: Challenge, scope: string, context: AuthContext): Promise<Token> {
  const asked = performance.now()
  const { url, options } = tokenRequest(challenge, scope, context)
  const response = await withRetries(context.transport, () => exchange(url, options))
  if (response.status !== 200) throw await registryError(response, `a token for ${context.host}`, context.host)
  const root = decodeJson(await readBody(response, MAX_TOKEN), `the token of ${shownUrl(url)}`)
  const field = [member(root, "token"), member(root, "access_token")].find(
    ({ value }) => value !== undefined && value !== "",
  )
  if (field === undefined) throw fault(root, "there is no token in it")
  const value = string(field)
  // It becomes a header.
  if (!/^[\x21-\x7e]+$/.test(value)) throw fault(field, "has characters that a token cannot have")
  const life = optional(member(root, "expires_in"), count) ?? DEFAULT_LIFE
  return { value, expires: asked + Math.max(life, DEFAULT_LIFE) * 1000 - MARGIN }
}

/** Makes one for a registry; it is shared by all requests to it. */
export function createAuthorizer(context: AuthContext): Authorizer {
  let challenge: Challenge | null = null
  const tokens = new Map<string, Promise<Token>>()
  const current = new Map<string, string>()

  /** Requests at the same time ask for a token once. */
  const token = async (known: Challenge, scope: string): Promise<Token> => {
    for (let pending = tokens.get(scope); pending !== undefined; pending = tokens.get(scope)) {
      const found = await pending
      if (found.expires > performance.now()) return found
      if (tokens.get(scope) === pending) tokens.delete(scope)
    }
    const fresh = fetchToken(known, scope, context)
    tokens.set(scope, fresh)
    try {
      const made = await fresh
      current.set(scope, made.value)
      return made
    } catch (error) {
      if (tokens.get(scope) === fresh) tokens.delete(scope)
      throw error
    }
  }

  const { credentials } = context
  return {
    async header(scope) {
      if (challenge === null) return undefined
      if (challenge.scheme === "basic") return credentials?.kind === "password" ? basic(credentials) : undefined
      if (credentials?.kind === "registry-token") return `Bearer ${credentials.token}`
      return `Bearer ${(await token(challenge, scope)).value}`
    },
    challenged(response, scope, sent) {
      const offered = parseChallenges(response.headers.get("www-authenticate") ?? "")
      const found =
        offered.find(({ scheme, parameters }) => scheme === "bearer" && parameters.realm !== undefined) ??
        offered.find(({ scheme }) => scheme === "basic")
      if (found === undefined) return false
      challenge = found
      const fixed = found.scheme === "basic" || credentials?.kind === "registry-token"
      // The same again would be answered the same.
      if (fixed) return sent === undefined && (found.scheme === "bearer" || credentials?.kind === "password")
      // Others may have a fresh one already.
      if (sent === `Bearer ${current.get(scope)}`) tokens.delete(scope)
      return true
    },
  }
}
