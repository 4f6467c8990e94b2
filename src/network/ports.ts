/** -p and --expose: `[IP:][HOST:]CONTAINER[/PROTOCOL]`, with ranges, as docker run has them. */
import { UsageError } from "../errors.ts"
import { formatIp, parseIp } from "./ip.ts"

export const PROTOCOLS = ["tcp", "udp", "sctp"] as const
export type Protocol = (typeof PROTOCOLS)[number]

/** Ports from `first` to `last`, both of them included. */
export interface PortRange {
  first: number
  last: number
}

/** Ports of the container, reached through ports of the host. */
export interface PortMapping {
  /** Null: every address of the host, IPv4 and IPv6. */
  address: string | null
  /**
   * As long as `container`; or longer where that is one port, and then one of them that is free; null: any that is free, one
   * for each.
   */
  host: PortRange | null
  container: PortRange
  protocol: Protocol
}

/** Ports that a container serves, as --expose or its image tells. */
export interface ExposedPorts {
  ports: PortRange
  protocol: Protocol
}

/** What a run asks to be published. */
export interface PortWish {
  /** -p. */
  published: readonly PortMapping[]
  /** -P: what is exposed, too. */
  all: boolean
  exposed: readonly ExposedPorts[]
}

/** A port of a container that runs, as its record has it. */
export interface HeldPort {
  protocol: Protocol
  /** Of the host; null for every one. */
  address: string | null
  host: number
  container: number
  /** The socket that holds it, in the process that supervises the container; null of SCTP. */
  fd: number | null
}

/**
 * Those of a container's ports that somebody may come to whom the kernel leads nowhere: of all, where it leads nobody
 * (`forwarded`), else by IPv6: from ::1, for which Linux has no route_localnet, and to a container that has no address of it.
 */
export const servedPorts = ({
  ports = [],
  forwarded = false,
}: {
  ports?: readonly HeldPort[]
  forwarded?: boolean
}): HeldPort[] =>
  ports.filter(({ address, fd }) => fd !== null && (forwarded || address === null || address.includes(":")))

const FORMS =
  "[IP:][HOST:]CONTAINER[/tcp|udp|sctp], e.g. 8080:80, 127.0.0.1:8080:80, 53:53/udp, [::1]:8000-8009:8000-8009"
const MOST = 65535

export const rangeLength = ({ first, last }: PortRange): number => last - first + 1

/** `80` or `80-89`. Throws UsageError that names `option` and `whole`. */
function range(option: string, whole: string, text: string, what: string): PortRange {
  const [, low, high = low] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  const [first, last] = [Number(low), Number(high)]
  if (low === undefined)
    throw new UsageError(`${option}: "${whole}": "${text}" is no ${what} port`, { hint: `use ${FORMS}` })
  if (first < 1 || last > MOST) throw new UsageError(`${option}: "${whole}": ports are from 1 to ${MOST}`)
  if (first > last) throw new UsageError(`${option}: "${whole}": the range ${text} ends before it begins`)
  return { first, last }
}

function protocolOf(option: string, whole: string, text: string | undefined): Protocol {
  const found = PROTOCOLS.find((protocol) => protocol === (text ?? "tcp").toLowerCase())
  if (!found)
    throw new UsageError(`${option}: "${whole}": "${text}" is no protocol with ports (use ${PROTOCOLS.join(", ")})`)
  return found
}

/** Cuts an address off the front: brackets are needed for IPv6, whose colons would be read as ours. */
function splitAddress(option: string, whole: string, text: string): { address: string | null; ports: string[] } {
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(text)
  const parts = bracketed ? [bracketed[1] ?? "", ...(bracketed[2] ?? "").split(":")] : text.split(":")
  if (!bracketed && parts.length > 3) {
    const hint = parts.length > 4 ? "an IPv6 address is put in brackets: [::1]:8080:80" : `use ${FORMS}`
    throw new UsageError(`${option}: "${whole}" has too many colons`, { hint })
  }
  if (!bracketed && parts.length < 3) return { address: null, ports: parts }
  const [address = "", ...ports] = parts
  if (address === "" && !bracketed) return { address: null, ports }
  const bytes = parseIp(address)
  if (bytes === null || (bracketed && bytes.length === 4))
    throw new UsageError(`${option}: "${whole}": "${address}" is no IP address of this machine`, {
      hint: `use ${FORMS}`,
    })
  if (bracketed && ports.length > 2) throw new UsageError(`${option}: "${whole}" has too many colons`)
  return { address: formatIp(bytes), ports: ports.length === 1 ? ["", ...ports] : ports }
}

const KEYS = ["published", "target", "protocol", "mode"]

/** docker's long form, published=8080,target=80, as the short one; null where it is none. Throws UsageError. */
function shortForm(option: string, whole: string): string | null {
  if (!whole.includes("=")) return null
  const fields = new Map<string, string>()
  for (const part of whole.split(",")) {
    const [key = "", value = ""] = part.split("=")
    if (!KEYS.includes(key) || value === "")
      throw new UsageError(`${option}: "${whole}": "${part}" is not understood`, {
        hint: "published=8080,target=80,protocol=tcp",
      })
    fields.set(key, value)
  }
  const target = fields.get("target")
  if (target === undefined) throw new UsageError(`${option}: "${whole}": there is no target=PORT of the container`)
  const published = fields.get("published")
  return `${published === undefined ? "" : `${published}:`}${target}/${fields.get("protocol") ?? "tcp"}`
}

/** Reads one -p. Throws UsageError. */
export function parsePublish(option: string, text: string): PortMapping {
  const whole = shortForm(option, text) ?? text
  const slash = whole.lastIndexOf("/")
  const protocol = protocolOf(option, whole, slash < 0 ? undefined : whole.slice(slash + 1))
  const { address, ports } = splitAddress(option, whole, slash < 0 ? whole : whole.slice(0, slash))
  const [outer, inner] = ports.length === 1 ? ["", ports[0] ?? ""] : [ports[0] ?? "", ports[1] ?? ""]
  const container = range(option, whole, inner, "container")
  // 0 is any that is free, as for bind(2).
  const host = outer === "" || outer === "0" ? null : range(option, whole, outer, "host")
  const [there, here] = [rangeLength(container), host ? rangeLength(host) : 0]
  if (host && there !== here && there !== 1)
    throw new UsageError(`${option}: "${whole}": ${here} host ports for ${there} container ports`, {
      hint: "ranges must be of the same length, or the container's be a single port",
    })
  return { address, host, container, protocol }
}

/** Reads one --expose, or one of an image's ExposedPorts. Throws UsageError. */
export function parseExposed(option: string, whole: string): ExposedPorts {
  const [ports = "", protocol, ...more] = whole.split("/")
  if (more.length > 0) throw new UsageError(`${option}: "${whole}" is no port (use PORT[-PORT][/tcp|udp|sctp])`)
  return { ports: range(option, whole, ports, "container"), protocol: protocolOf(option, whole, protocol) }
}

const overlap = (a: PortRange, b: PortRange) => a.first <= b.last && b.first <= a.last

/** What -P adds: each exposed port that no -p publishes already, on a free port of the host. */
export function publishAll(exposed: readonly ExposedPorts[], published: readonly PortMapping[]): PortMapping[] {
  return exposed
    .filter(
      ({ ports, protocol }) => !published.some((one) => one.protocol === protocol && overlap(one.container, ports)),
    )
    .map(({ ports, protocol }) => ({ address: null, host: null, container: ports, protocol }))
}

const isFixed = ({ host, container }: PortMapping) => host !== null && rangeLength(host) === rangeLength(container)

/** Throws UsageError where two of the mappings want the same port of the host. */
export function checkConflicts(option: string, mappings: readonly PortMapping[]): void {
  mappings.forEach((one, i) => {
    const other = mappings.slice(0, i).find((earlier) => {
      if (!one.host || !earlier.host || !isFixed(one) || !isFixed(earlier)) return false
      const sameAddress = one.address === null || earlier.address === null || one.address === earlier.address
      return earlier.protocol === one.protocol && sameAddress && overlap(earlier.host, one.host)
    })
    if (other)
      throw new UsageError(
        `${option}: ${formatMapping(one)} and ${formatMapping(other)} want the same port of the host`,
      )
  })
}

const formatRange = ({ first, last }: PortRange) => (first === last ? `${first}` : `${first}-${last}`)

/** As docker ps shows it: `0.0.0.0:8080->80/tcp`. */
export function formatMapping({ address, host, container, protocol }: PortMapping): string {
  const shown = address === null ? "0.0.0.0" : address.includes(":") ? `[${address}]` : address
  return `${shown}:${host ? formatRange(host) : "*"}->${formatRange(container)}/${protocol}`
}
