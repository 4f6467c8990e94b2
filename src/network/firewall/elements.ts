/** What a network and a published port are in toybox's table: elements of its sets and maps. Pure. */
import { formatIp } from "../ip.ts"
import { type Cidr, formatCidr } from "../links.ts"
import type { Protocol } from "../ports.ts"
import type { Element } from "./requests.ts"
import type { SetName } from "./ruleset.ts"

/** A network of toybox, as far as packets are concerned. */
export interface FirewallNetwork {
  /** The name of its link. */
  bridge: string
  /** Its IPv4 and IPv6 networks. */
  subnets: readonly Cidr[]
  /** --internal: nothing goes out, nothing comes in. */
  internal: boolean
  /** Whether the source of what goes out becomes the host's address. */
  masquerade: boolean
  /** Whether its containers reach one another; an isolated network's reach only the outside. */
  isolated: boolean
}

/** One port of the host that leads to one of a container. */
export interface PublishedPort {
  protocol: Protocol
  /** Of the host: 4 or 16 bytes; null for every one, IPv4 and IPv6. 0.0.0.0 and :: are every one of their family. */
  address: Uint8Array | null
  host: number
  container: number
}

/** Where a container is reached: 4 and 16 bytes. */
export interface ContainerAddresses {
  ip: Uint8Array | null
  ip6: Uint8Array | null
}

/** Elements by the set that they belong to. */
export type Entries = readonly { readonly set: SetName; readonly elements: readonly Element[] }[]

const IFNAMSIZ = 16
// IPPROTO_* of netinet/in.h.
const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 }

/** The name of a link as a key has it. */
export function ifname(name: string): Uint8Array {
  const bytes = new Uint8Array(IFNAMSIZ)
  bytes.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1))
  return bytes
}

// Each part of a concatenation fills registers of four bytes.
const port = (number: number) => [number >> 8, number & 0xff, 0, 0]
const protocolBytes = (protocol: Protocol) => [PROTOCOL_NUMBER[protocol], 0, 0, 0]

const masked = ({ ip, prefix }: Cidr) =>
  ip.map((byte, i) => byte & ~(0xff >> Math.min(8, Math.max(0, prefix - 8 * i))) & 0xff)

/** The address after the last one of a network; null where there is none. */
function after(subnet: Cidr): Uint8Array | null {
  const bytes = masked(subnet)
  const last = subnet.prefix - 1
  let carry = 1 << (7 - (last & 7))
  for (let i = last >> 3; i >= 0 && carry > 0; i--) {
    const sum = (bytes[i] ?? 0) + carry
    bytes[i] = sum & 0xff
    carry = sum >> 8
  }
  return carry > 0 ? null : bytes
}

function range(subnet: Cidr): Element[] {
  const first = masked(subnet)
  const end = after(subnet)
  const text = formatCidr({ ip: first, prefix: subnet.prefix })
  return [{ key: first, text }, ...(end ? [{ key: end, end: true, text }] : [])]
}

/** The elements of a network. */
export function networkEntries({ bridge, subnets, internal, masquerade, isolated }: FirewallNetwork): Entries {
  const name = ifname(bridge)
  const one = { key: name, text: `"${bridge}"` }
  const both = { key: Uint8Array.of(...name, ...name), text: `"${bridge}" . "${bridge}"` }
  const ranges = (size: number) => subnets.filter(({ ip }) => ip.length === size).flatMap(range)
  const [four, six] = [ranges(4), ranges(16)]
  const entries: Entries = [
    { set: "bridges", elements: [one] },
    { set: "internal", elements: internal ? [one] : [] },
    { set: "within", elements: isolated ? [] : [both] },
    { set: "own4", elements: four },
    { set: "own6", elements: six },
    { set: "masquerade4", elements: masquerade && !internal ? four : [] },
    { set: "masquerade6", elements: masquerade && !internal ? six : [] },
  ]
  return entries.filter(({ elements }) => elements.length > 0)
}

const isAny = (address: Uint8Array | null) => address?.every((byte) => byte === 0) ?? true

/** Whether a port on this address of the host is one for packets of a family: `size` is that of its addresses. */
const reaches = (address: Uint8Array | null, size: number) => address === null || address.length === size

function portElement(one: PublishedPort, target: Uint8Array, comment: string): Element {
  const { protocol, address, host, container } = one
  const any = isAny(address)
  const shown = any || address === null ? "" : `${formatIp(address)} . `
  return {
    key: Uint8Array.of(...(any ? [] : (address ?? [])), ...protocolBytes(protocol), ...port(host)),
    data: Uint8Array.of(...target, ...port(container)),
    text: `${shown}${protocol} . ${host} comment "${comment}" : ${formatIp(target)} . ${container}`,
    comment,
  }
}

/** The elements of a container's published ports. A port of a family that the container has no address of is left out. */
export function portEntries(id: string, ports: readonly PublishedPort[], { ip, ip6 }: ContainerAddresses): Entries {
  const elements = (target: Uint8Array | null, any: boolean): Element[] =>
    target === null
      ? []
      : ports
          .filter(({ address }) => reaches(address, target.length) && isAny(address) === any)
          .map((one) => portElement(one, target, id))
  const entries: Entries = [
    { set: "ports4", elements: elements(ip, true) },
    { set: "ports6", elements: elements(ip6, true) },
    { set: "bound4", elements: elements(ip, false) },
    { set: "bound6", elements: elements(ip6, false) },
  ]
  return entries.filter(({ elements: some }) => some.length > 0)
}

/** The elements of published ports that a process serves. */
export function forwardedEntries(ports: readonly PublishedPort[]): Entries {
  const elements = ports.map(({ protocol, host }) => ({
    key: Uint8Array.of(...protocolBytes(protocol), ...port(host)),
    text: `${protocol} . ${host}`,
  }))
  return elements.length === 0 ? [] : [{ set: "forwarded", elements }]
}

/** Where an element of a port leads datagrams to; null of one that is none of UDP. */
export function udpTarget({ key, data }: Element): { port: number; address: Uint8Array } | null {
  const [protocol, high = 0, low = 0] = [key.at(-8), key.at(-4), key.at(-3)]
  if (data === undefined || protocol !== PROTOCOL_NUMBER.udp) return null
  return { port: (high << 8) | low, address: data.subarray(0, -4) }
}
