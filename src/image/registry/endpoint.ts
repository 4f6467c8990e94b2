/** Where a registry is, and its mirrors; which of https and http it speaks. */
import { readText } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { isLoopback } from "../fetch/address.ts"
import { exchange } from "../fetch/exchange.ts"
import { PassingError } from "../fetch/failure.ts"
import { trustedCertificates } from "../fetch/trust.ts"
import { readBody } from "./answer.ts"
import { type ClientFiles, certificateFiles, clientFiles, type Settings } from "./settings.ts"
import type { Manners, Transport } from "./transport.ts"

/** Beside the settings: what a command line asks for. */
export interface Wishes {
  insecure?: boolean | undefined
  /** Files of certificates (PEM). */
  ca?: readonly string[] | undefined
}

export interface Endpoint {
  /** As people know it: "docker.io", "localhost:5000". */
  host: string
  /** Ways to reach it, to be tried in this order. */
  bases: readonly URL[]
  /** Put before the repository: a mirror may keep it below a path. */
  prefix: string
  /** Files of certificates to trust it by. */
  authorities: readonly string[]
  /** What it is shown where it asks who we are. */
  client: ClientFiles | null
  /** The host and port whose certificate is not looked at. */
  insecureHost: string | undefined
  mirror: boolean
}

const DOCKER_HUB = "docker.io"
const DOCKER_HUB_API = "registry-1.docker.io"

function endpoint(text: string, mirror: boolean, settings: Settings, wishes: Wishes): Endpoint {
  const [, scheme, rest = text] = /^(https?):\/\/(.*)$/i.exec(text) ?? []
  const slash = rest.indexOf("/")
  const host = slash < 0 ? rest : rest.slice(0, slash)
  const own = settings.registries[host]
  const insecure = wishes.insecure ?? own?.insecure ?? false
  const schemes =
    scheme !== undefined
      ? [scheme.toLowerCase()]
      : own?.http
        ? ["http"]
        : isLoopback(host)
          ? ["http", "https"]
          : insecure
            ? ["https", "http"]
            : ["https"]
  const address = host === DOCKER_HUB ? DOCKER_HUB_API : host
  const bases = schemes.map((name) => {
    const base = URL.parse(`${name}://${address}`)
    if (base === null) throw new ToyboxError(`${host} is no host and port that a registry can have`)
    return base
  })
  return {
    host,
    bases,
    prefix: slash < 0 ? "" : `${rest.slice(slash + 1)}/`,
    authorities: [...certificateFiles(host, own), ...(wishes.ca ?? [])],
    client: clientFiles(host),
    insecureHost: insecure ? (bases.find(({ protocol }) => protocol === "https:") ?? bases[0])?.host : undefined,
    mirror,
  }
}

/** Where to ask for what is in a registry: its mirrors, then itself. */
export function endpointsFor(domain: string, settings: Settings, wishes: Wishes = {}): Endpoint[] {
  // What was asked for on the command line is meant for the registry that was named.
  const mirrors = (settings.registries[domain]?.mirrors ?? []).map((mirror) => endpoint(mirror, true, settings, {}))
  return [...mirrors, endpoint(domain, false, settings, wishes)]
}

/** How an endpoint is spoken to. */
export function transportTo({ bases, authorities, insecureHost, client }: Endpoint, manners: Manners): Transport {
  const encrypted = bases.find(({ protocol }) => protocol === "https:")
  // The bundle of a machine is large; who speaks plain http has no use for it.
  if (encrypted === undefined) return { ...manners, insecureHost, certificates: null }
  const shown = client && {
    host: encrypted.host,
    certificate: readText(client.certificate),
    key: readText(client.key),
  }
  const certificates = trustedCertificates(authorities)
  return { ...manners, insecureHost, certificates, ...(shown ? { client: shown } : {}) }
}

const MAX_GREETING = 64 * 1024

/** Whether an answer to a greeting over plain http comes from a server that wants TLS. */
async function wantsTls(base: URL, status: number, body: () => Promise<Uint8Array>): Promise<boolean> {
  if (base.protocol === "https:" || status !== 400) return false
  return /https|tls|ssl/i.test(new TextDecoder().decode(await body()))
}

/**
 * The address of an endpoint that speaks a protocol: where there is a choice, the first that answers like a server of its
 * kind. Nothing secret is said. Throws what the last one failed with.
 */
export async function chooseBase({ bases }: Endpoint, transport: Transport): Promise<URL> {
  const [first] = bases
  if (first !== undefined && bases.length === 1) return first
  let failure: unknown
  for (const base of bases) {
    try {
      const response = await exchange(new URL("/v2/", base), { ...transport, follow: false })
      const other = await wantsTls(base, response.status, () => readBody(response, MAX_GREETING))
      response.cancel()
      if (!other) return base
    } catch (error) {
      // An untrusted certificate is the answer of a server that is there: plain http must not get round it.
      if (!(error instanceof PassingError)) throw error
      failure ??= error
    }
  }
  throw failure
}
