/** A container's places in networks: its addresses, and the links that lead to it. */
import { call, callResult, scratch } from "../../ffi/call.ts"
import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { CLONE_NEWNET } from "../../ffi/constants/sched.ts"
import { isErrno, SyscallError } from "../../ffi/errno.ts"
import { close, open, writeText } from "../../ffi/fs.ts"
import { type NetlinkSocket, request } from "../../ffi/netlink/socket.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { type Bridge, NetworkGone, NoBridges, withRoutes } from "./bridge.ts"
import type { EndpointWish } from "./default.ts"
import { formatIp, parseIp } from "./ip.ts"
import { type Containers, type Pool, releaseDead, takeAddress, takeFreeAddress, wholePool } from "./leases.ts"
import { type Cidr, describeLink, formatCidr, formatMac, type LinkStep, linkMessage } from "./links.ts"
import { addressOf, cidrOf, leasesOf, type Network } from "./network.ts"
import { linkNamed } from "./read.ts"
import { offsetIn } from "./subnets.ts"

/** A container's place in one network, as its record keeps it. Addresses are text, without prefix. */
export interface Endpoint {
  network: string
  networkId: string
  /** The end on the bridge; changes from start to start. */
  link: string
  /** The end in the container: eth0, eth1, … */
  interface: string
  mac: string
  ip: string
  prefix: number
  gateway: string
  ip6?: string
  prefix6?: number
  gateway6?: string
  aliases?: readonly string[]
  /** Only what comes from its own addresses goes on from its link (firewall/guard.ts). */
  guarded?: boolean
}

/** A place in a network whose bridge is there. */
export interface Place {
  endpoint: Endpoint
  bridge: Bridge
  /** It may reach itself by a published port: what it sends comes back to where it came from. */
  hairpin: boolean
}

/** What is given to those who ask for no address. */
function freePool(pool: Pool, { range }: Network): Pool {
  const { subnet } = pool
  if (range === null || subnet.ip.length !== 4) return pool
  const part = cidrOf(range)
  const first = offsetIn(subnet, part.ip) ?? 0
  return { ...pool, first: Math.max(pool.first, first), last: Math.min(pool.last, first + 2 ** (32 - part.prefix) - 1) }
}

function takeAsked(
  directory: string,
  option: string,
  text: string,
  pool: Pool,
  id: string,
  others: Containers,
): Uint8Array {
  const ip = parseIp(text)
  const offset = ip === null ? null : offsetIn(pool.subnet, ip)
  if (ip === null || offset === null || offset < pool.first || offset > pool.last || pool.reserved.has(offset))
    throw new ToyboxError(`${option}: ${text} is no free address of the network`, {
      hint: `it is of ${formatCidr(pool.subnet)}; toybox network inspect shows its gateway`,
    })
  if (takeAddress(directory, ip, id)) return ip
  releaseDead(directory, others.runs)
  if (takeAddress(directory, ip, id)) return ip
  throw new ToyboxError(`${option}: ${text} is in use by another container`, { hint: "toybox ps shows who runs" })
}

function take(
  paths: Paths,
  network: Network,
  wanted: string | null,
  six: boolean,
  id: string,
  others: Containers,
): Uint8Array {
  const [subnet, gateway] = six ? [network.subnet6, network.gateway6] : [network.subnet, network.gateway]
  const directory = leasesOf(paths, network)
  const reserved = [gateway ?? "", ...(network.reserved ?? [])].map(addressOf)
  const whole = wholePool(cidrOf(subnet ?? ""), reserved)
  if (wanted !== null) return takeAsked(directory, six ? "--ip6" : "--ip", wanted, whole, id, others)
  const pool = freePool(whole, network)
  const free = takeFreeAddress(directory, pool, id)
  if (free) return free
  releaseDead(directory, others.runs)
  const freed = takeFreeAddress(directory, pool, id)
  if (freed) return freed
  throw new ToyboxError(`the network ${network.name} has no free address left`, {
    hint: "end containers of it, or make a network with a larger --subnet",
  })
}

/** IPv6 addresses follow those of IPv4, so that one lookup is enough; null where that is nobody's, or none of the network. */
function sixthOf(six: Cidr, reserved: readonly (string | null)[], four: Cidr, address: Uint8Array): Uint8Array | null {
  const offset = offsetIn(four, address) ?? 0
  const bytes = Uint8Array.from(six.ip)
  new DataView(bytes.buffer).setUint32(12, offset)
  return six.prefix > 96 || reserved.includes(formatIp(bytes)) ? null : bytes
}

/** Takes a place in a network for container `id`. Throws ToyboxError where there is none, NetworkGone. */
export function takePlace(
  paths: Paths,
  network: Network,
  wish: EndpointWish,
  { id, position, others }: { id: string; position: number; others: Containers },
): Endpoint {
  try {
    return placeIn(paths, network, wish, { id, position, others })
  } catch (error) {
    // The directory of addresses goes first.
    if (isErrno(error, "ENOENT")) throw new NetworkGone(network)
    throw error
  }
}

function placeIn(
  paths: Paths,
  network: Network,
  wish: EndpointWish,
  { id, position, others }: Parameters<typeof takePlace>[3],
): Endpoint {
  const subnet = cidrOf(network.subnet)
  const ip = take(paths, network, wish.ip, false, id, others)
  const { subnet6, gateway6 } = network
  if (wish.ip6 !== null && subnet6 === null)
    throw new ToyboxError(`--ip6: the network ${network.name} has no IPv6`, {
      hint: "toybox network create --ipv6 makes one that has",
    })
  const mayFollow = subnet6 !== null && wish.ip6 === null
  const followed = mayFollow ? sixthOf(cidrOf(subnet6), [gateway6, ...(network.reserved ?? [])], subnet, ip) : null
  // The address of an ended container may not be given back wholly yet.
  const follows = followed !== null && takeAddress(leasesOf(paths, network), followed, id)
  const ip6 = subnet6 === null ? null : follows ? followed : take(paths, network, wish.ip6, true, id, others)
  return {
    network: network.name,
    networkId: network.id,
    link: "",
    interface: `eth${position}`,
    mac: wish.mac ?? formatMac(Uint8Array.of(0x02, 0x42, ...ip)),
    ip: formatIp(ip),
    prefix: subnet.prefix,
    gateway: network.gateway,
    ...(ip6 && subnet6 && gateway6 ? { ip6: formatIp(ip6), prefix6: cidrOf(subnet6).prefix, gateway6 } : {}),
    ...(wish.aliases.length > 0 ? { aliases: wish.aliases } : {}),
  }
}

/** A name for the end of a pair on this machine: another each time, for one of a container that has ended may still be there. */
export function newLinkName(): string {
  callResult("getrandom", scratch.address, 6, 0)
  return `veth${scratch.bytes.slice(0, 5).toHex()}`
}

/** The six bytes of the address of a link. */
export const macBytes = (text: string) => Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16))

/** A pair of links, one end of which is a process's, and the other, which is down, on the bridge. */
function pairStep({ endpoint, bridge }: Place, pid: number): LinkStep {
  const { link, mac, interface: name } = endpoint
  const { network, index, mtu } = bridge
  const peer = { name, mac: macBytes(mac), pid }
  return { kind: "veth", name: link, mtu, bridge: { name: network.bridge, index }, peer }
}

const portStep = ({ endpoint, bridge, hairpin }: Place): LinkStep => ({
  kind: "port",
  name: endpoint.link,
  isolated: bridge.network.isolated,
  hairpin,
})

const withoutOwnIpv6 = ({ link }: Endpoint) => `/proc/sys/net/ipv6/conf/${link}/disable_ipv6`

/**
 * A port of a bridge needs no addresses. It would have one of IPv6, and routes: through all of them the kernel goes whenever a
 * link comes or goes. Where it cannot be set it is as it always was.
 */
function refuseIpv6({ endpoint }: Place): void {
  try {
    writeText(withoutOwnIpv6(endpoint), "1")
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error
  }
}

/** What is done in the container: addresses, and where it `leads` out, the default routes. */
export function insideSteps(endpoint: Endpoint, index: number, leads: boolean): LinkStep[] {
  const link = { name: endpoint.interface, index }
  const { ip, prefix, ip6, prefix6 } = endpoint
  const address = (text: string, length: number): LinkStep => ({
    kind: "address",
    link,
    address: { ip: addressOf(text), prefix: length },
  })
  return [
    { kind: "up", name: endpoint.interface },
    address(ip, prefix),
    ...(ip6 !== undefined && prefix6 !== undefined ? [address(ip6, prefix6)] : []),
    ...(leads ? waysOut(endpoint, index) : []),
  ]
}

function waysOut({ interface: name, gateway, gateway6 }: Endpoint, index: number): LinkStep[] {
  return [gateway, gateway6].flatMap((text): LinkStep[] =>
    text === undefined ? [] : [{ kind: "default-route", link: { name, index }, gateway: addressOf(text) }],
  )
}

/** Which of the places of a container leads out: the first that is not internal. */
export const leadingOut = (places: readonly Place[]): Endpoint | undefined =>
  places.find(({ bridge }) => !bridge.network.internal)?.endpoint

/** The lines of ip(8) that connect a container. */
export function describeEndpoint(place: Place, leads: boolean): string[] {
  const inside = insideSteps(place.endpoint, 0, leads)
  return [
    describeLink(pairStep(place, 0)).replace("netns 0", "netns $PID"),
    `echo 1 >${withoutOwnIpv6(place.endpoint)}`,
    describeLink(portStep(place)),
    ...inside.map((step) => `nsenter -t $PID -n ${describeLink(step)}`),
  ]
}

/** Carries out something with an rtnetlink(7) socket of a process's network namespace, which this thread enters meanwhile. */
function inNetworkOf<T>(pid: number, use: (socket: NetlinkSocket) => T): T {
  const own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
  const theirs = open(`/proc/${pid}/ns/net`, O_RDONLY | O_CLOEXEC)
  try {
    call("setns", theirs, CLONE_NEWNET)
    try {
      return withRoutes(use)
    } finally {
      call("setns", own, CLONE_NEWNET)
    }
  } finally {
    close(own)
    close(theirs)
  }
}

/**
 * Connects a process, which has a network namespace of its own, to networks, of which one may lead out. Throws SyscallError,
 * NoBridges.
 */
export function connect(
  pid: number,
  places: readonly Place[],
  leading: Endpoint | undefined,
  socket: NetlinkSocket,
): void {
  try {
    request(socket, ...places.map((place) => linkMessage(pairStep(place, pid))))
    for (const place of places) refuseIpv6(place)
    request(socket, ...places.map((place) => linkMessage(portStep(place))))
  } catch (error) {
    if (!isErrno(error, "EOPNOTSUPP")) throw error
    throw new NoBridges("the kernel has no veth links (CONFIG_VETH)", { hint: "use --net none or --net host" })
  }
  inNetworkOf(pid, (inside) => {
    const steps = places.flatMap(({ endpoint }) =>
      insideSteps(endpoint, linkNamed(inside, endpoint.interface)?.index ?? 0, endpoint === leading),
    )
    request(inside, ...steps.map(linkMessage))
  })
}

/** Removes those that are still there, with their other ends. */
export function deleteLinks(endpoints: readonly Endpoint[], socket: NetlinkSocket): void {
  for (const { link } of endpoints)
    if (link !== "" && linkNamed(socket, link)) request(socket, linkMessage({ kind: "delete", name: link }))
}

/** Takes a process out of a network; `next` leads out from then on, where what did has gone. Throws SyscallError. */
export function disconnect(pid: number, endpoint: Endpoint, next: Endpoint | undefined, socket: NetlinkSocket): void {
  deleteLinks([endpoint], socket)
  if (!next) return
  inNetworkOf(pid, (inside) => {
    const steps = waysOut(next, linkNamed(inside, next.interface)?.index ?? 0)
    for (const step of steps) {
      try {
        request(inside, linkMessage(step))
      } catch (error) {
        // It is the one that leads out already.
        if (!isErrno(error, "EEXIST")) throw error
      }
    }
  })
}
