/** Networks of toybox: what is kept of them, one file a network, and how they are made and found. */

import { callResult, scratch } from "../../ffi/call.ts"
import { NETLINK_ROUTE } from "../../ffi/constants/netlink.ts"
import { exists, listDir, unlink } from "../../ffi/fs.ts"
import { closeNetlink, openNetlink } from "../../ffi/netlink/socket.ts"
import { ToyboxError, UsageError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { readJson, writeDurably } from "../state-file.ts"
import { DEFAULT_NETWORK } from "./default.ts"
import { formatIp, parseIp } from "./ip.ts"
import { type Cidr, formatCidr } from "./links.ts"
import { withNetworksLocked } from "./lock.ts"
import { routes } from "./read.ts"
import { addressAt, freeSubnet, offsetIn, overlap } from "./subnets.ts"

/** networks/NAME.json. Subnets are in CIDR notation, their first address; gateways are the bridge's addresses. */
export interface Network {
  name: string
  /** 64 hexadecimal digits. */
  id: string
  /** ISO 8601. */
  created: string
  /** The name of the link. */
  bridge: string
  subnet: string
  gateway: string
  /** Null: without IPv6. */
  subnet6: string | null
  gateway6: string | null
  /** The part of `subnet` that addresses are given from; null for all of it. */
  range: string | null
  internal: boolean
  /** Its containers do not reach one another. */
  isolated: boolean
  masquerade: boolean
  /** In bytes; null: that of the default route's link. */
  mtu: number | null
  labels: Record<string, string>
}

/** What `network create` may be asked for. */
export type NetworkWish = Partial<Omit<Network, "name" | "id" | "created" | "bridge" | "subnet6">> & {
  /** True: a unique local one (RFC 4193); or that one. */
  ipv6?: boolean | string
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/
const RESERVED = ["none", "host", "default", "private"]

const pathOf = (paths: Paths, name: string) => `${paths.networks}/${name}.json`

/** Where the addresses are that are in use in a network. */
export const leasesOf = (paths: Paths, { id }: Network): string => `${paths.networkRun}/${id}`

/** Parses NETWORK/PREFIX; null where it is none. Bits after the prefix are cleared. */
export function parseCidr(text: string): Cidr | null {
  const [address = "", length = "", ...rest] = text.split("/")
  const ip = parseIp(address)
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (ip === null || rest.length > 0 || prefix < 1 || prefix > ip.length * 8) return null
  return { ip: addressAt({ ip, prefix }, 0), prefix }
}

/** A subnet of a network that was read from its file. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === null) throw new ToyboxError(`"${text}" in the file of a network is no subnet`)
  return cidr
}

/** An address of a network that was read from its file. */
export function addressOf(text: string): Uint8Array {
  const ip = parseIp(text)
  if (ip === null) throw new ToyboxError(`"${text}" in the file of a network is no address`)
  return ip
}

export const subnetsOf = ({ subnet, subnet6 }: Network): Cidr[] => [
  cidrOf(subnet),
  ...(subnet6 === null ? [] : [cidrOf(subnet6)]),
]

/** A network by its name; null where there is none. */
export const findNetwork = (paths: Paths, name: string): Network | null =>
  NAME.test(name) ? readJson<Network>(pathOf(paths, name)) : null

/** All of them, by name. */
export const listNetworks = (paths: Paths): Network[] =>
  listDir(paths.networks)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .flatMap((file) => readJson<Network>(`${paths.networks}/${file}`) ?? [])

/** A network by its name or the beginning of its id. Throws ToyboxError where there is none. */
export function networkNamed(paths: Paths, reference: string): Network {
  const named = findNetwork(paths, reference)
  if (named) return named
  const found = /^[0-9a-f]+$/.test(reference) ? listNetworks(paths).filter(({ id }) => id.startsWith(reference)) : []
  if (found.length === 1 && found[0]) return found[0]
  throw new ToyboxError(`there is no network "${reference}"`, {
    hint: `toybox network create ${reference} makes one; toybox network ls lists them`,
  })
}

function randomBytes(size: number): Uint8Array {
  callResult("getrandom", scratch.address, size, 0)
  return scratch.bytes.slice(0, size)
}

/** A unique local network of 64 bits: RFC 4193, section 3.2. */
const uniqueLocal = (): Cidr => ({
  ip: Uint8Array.of(0xfd, ...randomBytes(7), ...new Uint8Array(8)),
  prefix: 64,
})

/** Whether this machine speaks IPv6, and lets new links do so. */
function hasIpv6(): boolean {
  return exists("/proc/net/if_inet6") && exists("/proc/sys/net/ipv6/conf/all/forwarding")
}

/** What is taken: by routes of this machine, and by networks whose link need not be there. */
function takenSubnets(paths: Paths, except?: string): { to: Cidr; by: string }[] {
  const socket = openNetlink(NETLINK_ROUTE)
  try {
    const own = listNetworks(paths).filter(({ name }) => name !== except)
    return [
      ...routes(socket)
        .filter(({ to }) => to.prefix > 0)
        .map(({ to }) => ({ to, by: `the route to ${formatCidr(to)} of this machine` })),
      ...own.flatMap((network) => subnetsOf(network).map((to) => ({ to, by: `the network ${network.name}` }))),
    ]
  } finally {
    closeNetlink(socket)
  }
}

function checkSubnet(option: string, text: string, size: number, taken: readonly { to: Cidr; by: string }[]): Cidr {
  const cidr = parseCidr(text)
  const most = size * 8 - 2
  if (cidr === null || cidr.ip.length !== size || cidr.prefix > most)
    throw new UsageError(`${option}: "${text}" is no IPv${size === 4 ? 4 : 6} network of at most ${most} bits`, {
      hint: size === 4 ? "for example 10.20.0.0/24" : "for example fd12:3456:789a::/64",
    })
  const other = taken.find(({ to }) => overlap(to, cidr))
  if (other)
    throw new ToyboxError(`${option}: ${formatCidr(cidr)} overlaps ${other.by}`, {
      hint: "leave it out: a free one is chosen",
    })
  return cidr
}

function gatewayOf(option: string, subnet: Cidr, text: string | null | undefined): string {
  if (text === null || text === undefined) return formatIp(addressAt(subnet, 1))
  const ip = parseIp(text)
  if (ip === null || offsetIn(subnet, ip) === null)
    throw new UsageError(`${option}: "${text}" is no address of ${formatCidr(subnet)}`)
  return formatIp(ip)
}

function chooseSubnet(taken: readonly { to: Cidr }[]): Cidr {
  const free = freeSubnet(taken.map(({ to }) => to))
  if (free === null)
    throw new ToyboxError("every private network that toybox would take is taken by a route of this machine", {
      hint: "toybox network create --subnet 10.20.0.0/24 NAME",
    })
  return free
}

function rangeIn(subnet: Cidr, text: string): string {
  const range = parseCidr(text)
  if (range === null || range.prefix < subnet.prefix || offsetIn(subnet, range.ip) === null)
    throw new UsageError(`--ip-range: "${text}" is no part of ${formatCidr(subnet)}`)
  return formatCidr(range)
}

function make(paths: Paths, name: string, wish: NetworkWish): Network {
  const taken = takenSubnets(paths, name)
  const id = randomBytes(32).toHex()
  const subnet = wish.subnet === undefined ? chooseSubnet(taken) : checkSubnet("--subnet", wish.subnet, 4, taken)
  const { ipv6 = true } = wish
  if (typeof ipv6 === "string" && !hasIpv6())
    throw new ToyboxError(`--subnet: ${ipv6}: this machine has no IPv6`, { hint: "leave it out" })
  const six =
    typeof ipv6 === "string" ? checkSubnet("--subnet", ipv6, 16, taken) : ipv6 && hasIpv6() ? uniqueLocal() : null
  return {
    name,
    id,
    created: new Date().toISOString(),
    // The system's own state has the well-known name; another's must not be in its way.
    bridge: name === DEFAULT_NETWORK && paths.state === "/var/lib/toybox" ? "toybox0" : `tb-${id.slice(0, 12)}`,
    subnet: formatCidr(subnet),
    gateway: gatewayOf("--gateway", subnet, wish.gateway),
    subnet6: six && formatCidr(six),
    gateway6: six && gatewayOf("--gateway", six, wish.gateway6),
    range: wish.range ? rangeIn(subnet, wish.range) : null,
    internal: wish.internal ?? false,
    isolated: wish.isolated ?? false,
    masquerade: wish.masquerade ?? true,
    mtu: wish.mtu ?? null,
    labels: wish.labels ?? {},
  }
}

const save = (paths: Paths, network: Network): void =>
  writeDurably(pathOf(paths, network.name), new TextEncoder().encode(JSON.stringify(network)))

/** Makes a network; its link comes with its first container. Throws UsageError, ToyboxError. */
export function createNetwork(paths: Paths, name: string, wish: NetworkWish = {}): Network {
  if (!NAME.test(name) || RESERVED.includes(name))
    throw new UsageError(`"${name}" is no name for a network`, {
      hint: `letters, digits, and after the first also _ . - ; not ${RESERVED.join(", ")}`,
    })
  return withNetworksLocked(paths, () => {
    if (findNetwork(paths, name)) throw new ToyboxError(`there is a network "${name}" already`)
    const network = make(paths, name, wish)
    save(paths, network)
    return network
  })
}

/** The network of that name; the default one is made when it is first asked for. Throws ToyboxError where there is none. */
export function obtainNetwork(paths: Paths, name: string): Network {
  const network = findNetwork(paths, name)
  if (network) return network
  if (name !== DEFAULT_NETWORK) return networkNamed(paths, name)
  return withNetworksLocked(paths, () => {
    const others = findNetwork(paths, DEFAULT_NETWORK)
    if (others) return others
    const made = make(paths, DEFAULT_NETWORK, {})
    save(paths, made)
    return made
  })
}

/** As obtainNetwork; but what is not there yet is not kept. */
export const networkFor = (paths: Paths, name: string): Network =>
  findNetwork(paths, name) ?? (name === DEFAULT_NETWORK ? make(paths, name, {}) : networkNamed(paths, name))

/**
 * Where a route of this machine has come to overlap the default network, which nobody has chosen, it becomes another one.
 * Of others it is an error. The lock of the networks is held, and the link is not there.
 */
export function settleSubnet(paths: Paths, network: Network): Network {
  const taken = takenSubnets(paths, network.name)
  const other = taken.find(({ to }) => subnetsOf(network).some((own) => overlap(own, to)))
  if (!other) return network
  if (network.name !== DEFAULT_NETWORK)
    throw new ToyboxError(`the network ${network.name} (${network.subnet}) overlaps ${other.by}`, {
      hint: `toybox network rm ${network.name}, and make it with another --subnet`,
    })
  const moved = { ...make(paths, network.name, {}), id: network.id, bridge: network.bridge, created: network.created }
  save(paths, moved)
  return moved
}

/** Forgets a network; its link is gone. */
export function forgetNetwork(paths: Paths, { name }: Network): void {
  unlink(pathOf(paths, name))
}
