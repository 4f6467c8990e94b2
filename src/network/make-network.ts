/** Networks of toybox: how they are made, so that they are in nobody's way. */
import { callResult, scratch } from "../../ffi/call.ts"
import { tryReadText } from "../../ffi/fs.ts"
import type { NetlinkSocket } from "../../ffi/netlink/socket.ts"
import { ToyboxError, UsageError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { LEAST_MTU6, withRoutes } from "./bridge.ts"
import { DEFAULT_NETWORK } from "./default.ts"
import { formatIp, parseIp } from "./ip.ts"
import { type Cidr, formatCidr } from "./links.ts"
import { withNetworksLocked } from "./lock.ts"
import {
  cidrOf,
  findNetwork,
  keepNetwork,
  keepNewNetwork,
  listNetworks,
  NETWORK_NAME,
  type Network,
  networkNamed,
  parseCidr,
  subnetsOf,
} from "./network.ts"
import { linkNamed, ownAddresses, type Route, routes } from "./read.ts"
import { addressAt, candidates, freeSubnet, isInTheWay, lastOffset, offsetIn, overlap } from "./subnets.ts"

/** What `network create` may be asked for. */
export type NetworkWish = Partial<Omit<Network, "name" | "id" | "created" | "subnet6">> & {
  /** True: a unique local one (RFC 4193); or that one. */
  ipv6?: boolean | string
}

const RESOLVERS = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
const RESERVED = ["none", "host", "default", "private"]

function randomBytes(size: number): Uint8Array {
  callResult("getrandom", scratch.address, size, 0)
  return scratch.bytes.slice(0, size)
}

/** A unique local network of 64 bits: RFC 4193, section 3.2. */
const uniqueLocal = (): Cidr => ({
  ip: Uint8Array.of(0xfd, ...randomBytes(7), ...new Uint8Array(8)),
  prefix: 64,
})

/** Whether this machine speaks IPv6, and lets new links do so: ip-sysctl.rst. */
export const hasIpv6 = (): boolean => tryReadText("/proc/sys/net/ipv6/conf/default/disable_ipv6")?.trim() === "0"

interface Taken {
  to: Cidr
  by: string
}

/** The servers of a resolv.conf(5). */
const nameServers = (text: string): Uint8Array[] =>
  text.split("\n").flatMap((line) => parseIp(/^nameserver\s+(\S+)/.exec(line)?.[1] ?? "") ?? [])

/** Single addresses that this machine lives by, whatever routes lead to them. */
function neededAddresses(socket: NetlinkSocket, known: readonly Route[]): Taken[] {
  const taken = (what: string, addresses: readonly Uint8Array[]) =>
    addresses.map((ip) => ({ to: { ip, prefix: ip.length * 8 }, by: `${what} ${formatIp(ip)}` }))
  const resolvers = RESOLVERS.flatMap((path) => nameServers(tryReadText(path) ?? ""))
  return [
    ...taken("this machine's own address", ownAddresses(socket)),
    ...taken(
      "the router",
      known.flatMap(({ via }) => via ?? []),
    ),
    ...taken("the name server", resolvers),
  ]
}

/** What is taken: by routes of this machine, by addresses that it needs, and by networks whose link need not be there. */
function takenSubnets(paths: Paths, except: string): { routes: readonly Taken[]; networks: readonly Taken[] } {
  const others = listNetworks(paths).filter(({ name }) => name !== except)
  return {
    routes: withRoutes((socket) => {
      const known = routes(socket)
      return [
        ...known.map(({ to }) => ({ to, by: `the route to ${formatCidr(to)} of this machine` })),
        ...neededAddresses(socket, known),
      ]
    }),
    networks: others.flatMap((network) => subnetsOf(network).map((to) => ({ to, by: `the network ${network.name}` }))),
  }
}

type AllTaken = ReturnType<typeof takenSubnets>

/** What keeps a network that somebody has chosen from being had. */
const obstacleTo = (cidr: Cidr, { routes, networks }: AllTaken): Taken | undefined =>
  routes.find(({ to }) => isInTheWay(cidr, to)) ?? networks.find(({ to }) => overlap(to, cidr))

// What is never on a link of many: RFC 6890, RFC 4291 section 2.4.
const SPECIAL = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/8", "fe80::/10", "ff00::/8"]

function checkSubnet(option: string, text: string, size: number, taken: AllTaken): Cidr {
  const cidr = parseCidr(text)
  const most = size * 8 - 2
  if (cidr === null || cidr.ip.length !== size || cidr.prefix > most)
    throw new UsageError(`${option}: "${text}" is no IPv${size === 4 ? 4 : 6} network of at most ${most} bits`, {
      hint: size === 4 ? "for example 10.20.0.0/24" : "for example fd12:3456:789a::/64",
    })
  const special = SPECIAL.find((other) => overlap(cidrOf(other), cidr))
  if (special !== undefined)
    throw new UsageError(`${option}: ${formatCidr(cidr)} is no network for containers: it overlaps ${special}`, {
      hint: size === 4 ? "for example 10.20.0.0/24" : "for example fd12:3456:789a::/64",
    })
  const other = obstacleTo(cidr, taken)
  if (other)
    throw new ToyboxError(`${option}: ${formatCidr(cidr)} overlaps ${other.by}`, {
      hint: "leave it out: a free one is chosen",
    })
  return cidr
}

function gatewayOf(option: string, subnet: Cidr, text: string | null | undefined): string {
  if (text === null || text === undefined) return formatIp(addressAt(subnet, 1))
  const ip = parseIp(text)
  const offset = ip === null ? null : offsetIn(subnet, ip)
  // The first one is the network's own, of IPv6 every router's; the last one is for broadcasts, of IPv4.
  if (ip === null || offset === null || offset === 0 || offset > lastOffset(subnet))
    throw new UsageError(`${option}: "${text}" is no address for a machine in ${formatCidr(subnet)}`)
  return formatIp(ip)
}

function chooseSubnet({ routes, networks }: AllTaken, among = candidates()): Cidr {
  const free = freeSubnet(
    routes.map(({ to }) => to),
    networks.map(({ to }) => to),
    among,
  )
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

// The system's own state has the well-known name; another's must not be in its way.
const usualLink = (paths: Paths, name: string, id: string) =>
  name === DEFAULT_NETWORK && paths.state === "/var/lib/toybox" ? "toybox0" : `tb-${id.slice(0, 12)}`

/** Throws where a link of that name is there, or another network's. */
function checkLink(paths: Paths, bridge: string): void {
  const other = listNetworks(paths).find((network) => network.bridge === bridge)
  const isThere = withRoutes((socket) => linkNamed(socket, bridge)) !== null
  if (other || isThere)
    throw new ToyboxError(`--opt: the link ${bridge} is ${other ? `the network ${other.name}'s` : "there already"}`, {
      hint: "give another name, or none",
    })
}

function make(paths: Paths, name: string, wish: NetworkWish): Network {
  const taken = takenSubnets(paths, name)
  const id = randomBytes(32).toHex()
  const subnet = wish.subnet === undefined ? chooseSubnet(taken) : checkSubnet("--subnet", wish.subnet, 4, taken)
  const carriesSix = (wish.mtu ?? LEAST_MTU6) >= LEAST_MTU6
  const { ipv6 = carriesSix } = wish
  if (ipv6 && !carriesSix)
    throw new UsageError(`--opt: mtu=${wish.mtu}: IPv6 needs ${LEAST_MTU6} at least`, { hint: "leave IPv6 out" })
  if (typeof ipv6 === "string" && !hasIpv6())
    throw new ToyboxError(`--subnet: ${ipv6}: this machine has no IPv6`, { hint: "leave it out" })
  const six =
    typeof ipv6 === "string" ? checkSubnet("--subnet", ipv6, 16, taken) : ipv6 && hasIpv6() ? uniqueLocal() : null
  return {
    name,
    id,
    created: new Date().toISOString(),
    bridge: wish.bridge ?? usualLink(paths, name, id),
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
    ...(wish.hostBinding === undefined ? {} : { hostBinding: wish.hostBinding }),
    ...(wish.reserved && wish.reserved.length > 0 ? { reserved: wish.reserved } : {}),
  }
}

/** Makes a network; its link comes with its first container. Throws UsageError, ToyboxError. */
export function createNetwork(paths: Paths, name: string, wish: NetworkWish = {}): Network {
  if (!NETWORK_NAME.test(name) || RESERVED.includes(name))
    throw new UsageError(`"${name}" is no name for a network`, {
      hint: `letters, digits, and after the first also _ . - ; not ${RESERVED.join(", ")}`,
    })
  return withNetworksLocked(paths, () => {
    if (findNetwork(paths, name)) throw new ToyboxError(`there is a network "${name}" already`)
    if (wish.bridge !== undefined) checkLink(paths, wish.bridge)
    const network: Network = { ...make(paths, name, wish), ...(wish.ipv6 ? { asked6: true } : {}) }
    keepNewNetwork(paths, network)
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
    keepNewNetwork(paths, made)
    return made
  })
}

/** As obtainNetwork; but what is not there yet is not kept. */
export const networkFor = (paths: Paths, name: string): Network =>
  findNetwork(paths, name) ?? (name === DEFAULT_NETWORK ? make(paths, name, {}) : networkNamed(paths, name))

/**
 * Where a route of this machine has come to overlap the default network, whose addresses nobody has chosen, it gets others. Of
 * other networks it is an error. The lock of the networks is held, and the link is not there. Throws ToyboxError.
 */
export function settleSubnet(paths: Paths, network: Network): Network {
  const taken = takenSubnets(paths, network.name)
  const [subnet, six] = [cidrOf(network.subnet), network.subnet6]
  const usual = candidates().some((one) => formatCidr(one) === network.subnet)
  if (network.name === DEFAULT_NETWORK && usual) {
    const free = chooseSubnet(taken, [subnet, ...candidates()])
    const keepsSix = six === null || obstacleTo(cidrOf(six), taken) === undefined
    if (formatCidr(free) === network.subnet && keepsSix) return network
    const { subnet: _, gateway: __, range: ___, gateway6, ...wish } = network
    const ipv6 = six !== null && keepsSix && hasIpv6() ? { ipv6: six, gateway6 } : { ipv6: six !== null }
    const { id, created, bridge } = network
    const moved = { ...make(paths, network.name, { ...wish, ...ipv6, subnet: formatCidr(free) }), id, created, bridge }
    keepNetwork(paths, moved)
    return moved
  }
  const other = subnetsOf(network)
    .map((own) => obstacleTo(own, taken))
    .find((one) => one !== undefined)
  if (!other) return network
  throw new ToyboxError(`the network ${network.name} (${network.subnet}) overlaps ${other.by}`, {
    hint: `toybox network rm ${network.name}, and make it with another --subnet`,
  })
}
