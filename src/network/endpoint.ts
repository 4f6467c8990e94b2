/** A container's places in networks: its addresses. */
import { callResult, scratch } from "../../ffi/call.ts"
import { isErrno } from "../../ffi/errno.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { type Bridge, NetworkGone } from "./bridge.ts"
import type { EndpointWish } from "./default.ts"
import { formatIp, parseIp } from "./ip.ts"
import { type Containers, type Pool, releaseDead, takeAddress, takeFreeAddress, wholePool } from "./leases.ts"
import { type Cidr, formatCidr, formatMac } from "./links.ts"
import { addressOf, cidrOf, leasesOf, type Network } from "./network.ts"
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
  /** By its own settings it has IPv6 addresses that toybox knows nothing of: it may send from any (sources.ts). */
  roams?: boolean
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

/** Which of the places of a container leads out: the first that is not internal. */
export const leadingOut = (places: readonly Place[]): Endpoint | undefined =>
  places.find(({ bridge }) => !bridge.network.internal)?.endpoint
