/** What there is: links and routes of the network namespace that a socket belongs to, read through rtnetlink(7). */
import { NLM_F_REQUEST } from "../../ffi/constants/netlink.ts"
import * as rt from "../../ffi/constants/rtnetlink.ts"
import { AF_INET, AF_INET6 } from "../../ffi/constants/socket.ts"
import { isErrno } from "../../ffi/errno.ts"
import {
  type Attribute,
  BogusAnswer,
  bytes,
  find,
  readString,
  readU32,
  text,
  u32,
} from "../../ffi/netlink/attributes.ts"
import { NetlinkError } from "../../ffi/netlink/errors.ts"
import { attributesOf, type Message, type Received } from "../../ffi/netlink/messages.ts"
import { dump, type NetlinkSocket, request } from "../../ffi/netlink/socket.ts"
import { formatIp } from "./ip.ts"
import type { Cidr } from "./links.ts"

export interface Link {
  index: number
  name: string
  /** In bytes. */
  mtu: number
  alias: string | null
  /** bridge, veth, …; null of a device that is none of these. */
  type: string | null
}

const IFINFOMSG = 16
const RTMSG = 12
const IFADDRMSG = 8

function string(attributes: readonly Attribute[], type: number): string | null {
  const data = find(attributes, type)
  return data === undefined ? null : readString(data)
}

function decodeLink(message: Received): Link {
  const attributes = attributesOf(message, IFINFOMSG)
  const index = new DataView(message.payload.buffer, message.payload.byteOffset).getInt32(4, true)
  const info = find(attributes, rt.IFLA_LINKINFO)
  const name = string(attributes, rt.IFLA_IFNAME)
  const mtu = find(attributes, rt.IFLA_MTU)
  if (message.type !== rt.RTM_NEWLINK || name === null || mtu === undefined)
    throw new BogusAnswer("netlink: a link without a name")
  return {
    index,
    name,
    mtu: readU32(mtu),
    alias: string(attributes, rt.IFLA_IFALIAS),
    type: info === undefined ? null : string(decodeNested(info), rt.IFLA_INFO_KIND),
  }
}

const decodeNested = (data: Uint8Array) => attributesOf({ type: 0, flags: 0, sequence: 0, port: 0, payload: data }, 0)

function getLinkMessage(by: { index: number } | { name: string }): Message {
  const header = new Uint8Array(IFINFOMSG)
  if ("index" in by) new DataView(header.buffer).setInt32(4, by.index, true)
  const attributes = "name" in by ? [text(rt.IFLA_IFNAME, by.name)] : []
  const what = `ip link show ${"name" in by ? by.name : `number ${by.index}`}`
  return { type: rt.RTM_GETLINK, flags: NLM_F_REQUEST, header, attributes, what }
}

function getLink(socket: NetlinkSocket, by: { index: number } | { name: string }): Link | null {
  const message = getLinkMessage(by)
  try {
    const [answer] = request(socket, message)
    if (answer === undefined) throw new BogusAnswer(`netlink: no answer to: ${message.what}`)
    return decodeLink(answer)
  } catch (error) {
    if (isErrno(error, "ENODEV")) return null
    throw error
  }
}

/** A link by its name; null where there is none. */
export const linkNamed = (socket: NetlinkSocket, name: string): Link | null => getLink(socket, { name })

/** All links. */
export const allLinks = (socket: NetlinkSocket): Link[] =>
  dump(socket, { ...getLinkMessage({ index: 0 }), what: "ip link show" }).map(decodeLink)

/** Asks how an address of IPv4 is reached: by themselves those can only be listed. */
function getRoute(ip: Uint8Array): Message {
  const header = new Uint8Array(RTMSG)
  header[0] = AF_INET
  header[1] = ip.length * 8
  const what = `ip route get ${formatIp(ip)}`
  return { type: rt.RTM_GETROUTE, flags: NLM_F_REQUEST, header, attributes: [bytes(rt.RTA_DST, ip)], what }
}

/** Asks for an address of IPv6: a route to it would have the kernel look at every link of the machine for where to come from. */
function getAddress(ip: Uint8Array): Message {
  const header = new Uint8Array(IFADDRMSG)
  header[0] = AF_INET6
  const what = `ip address show to ${formatIp(ip)}`
  return { type: rt.RTM_GETADDR, flags: NLM_F_REQUEST, header, attributes: [bytes(rt.IFA_LOCAL, ip)], what }
}

const isOfOurs = ({ type, payload }: Received) => type === rt.RTM_NEWADDR || payload[7] === rt.RTN_LOCAL

/** A link by its name, where each of these addresses is one of this machine's; else null. It costs one question to the kernel. */
export function linkWithAddresses(socket: NetlinkSocket, name: string, addresses: readonly Uint8Array[]): Link | null {
  try {
    const questions = addresses.map((ip) => (ip.length === 4 ? getRoute(ip) : getAddress(ip)))
    const [link, ...answers] = request(socket, getLinkMessage({ name }), ...questions)
    return link && answers.length === addresses.length && answers.every(isOfOurs) ? decodeLink(link) : null
  } catch (error) {
    if (error instanceof NetlinkError) return null
    throw error
  }
}

/** A route of the main table. */
export interface Route {
  to: Cidr
  /** The number of the link; null of one that leads nowhere, or over several. */
  link: number | null
  /** In bytes; null: its link's. */
  mtu: number | null
  /** A router has told of it: RFC 4861. */
  advertised: boolean
  /** The router that it leads to; null of one that leads to a link. */
  via: Uint8Array | null
}

/** Where nothing was ever set up there is not even a table. */
function dumpRoutes(socket: NetlinkSocket, message: Message): Received[] {
  try {
    return dump(socket, message)
  } catch (error) {
    if (isErrno(error, "ENOENT")) return []
    throw error
  }
}

function metric(attributes: readonly Attribute[], type: number): number | null {
  const metrics = find(attributes, rt.RTA_METRICS)
  const value = metrics && find(decodeNested(metrics), type)
  return value === undefined ? null : readU32(value)
}

/** The routes of the main table, default ones among them. */
export function routes(socket: NetlinkSocket): Route[] {
  return [AF_INET, AF_INET6].flatMap((family) => {
    const header = new Uint8Array(RTMSG)
    header[0] = family
    const size = family === AF_INET ? 4 : 16
    const messages = dumpRoutes(socket, {
      type: rt.RTM_GETROUTE,
      flags: 0,
      header,
      attributes: [u32(rt.RTA_TABLE, rt.RT_TABLE_MAIN)],
      what: `ip ${family === AF_INET ? "-4" : "-6"} route show`,
    })
    return messages.flatMap((message): Route[] => {
      // Asked for a family that it has not (ipv6.disable=1), the kernel tells the routes of all others.
      if (message.payload[0] !== family) return []
      const attributes = attributesOf(message, RTMSG)
      const table = find(attributes, rt.RTA_TABLE)
      // Kernels before 4.20 tell all tables, whatever they are asked.
      if (table !== undefined && readU32(table) !== rt.RT_TABLE_MAIN) return []
      const ip = find(attributes, rt.RTA_DST) ?? new Uint8Array(size)
      const link = find(attributes, rt.RTA_OIF)
      if (ip.length !== size) throw new BogusAnswer("netlink: a route to an address of another family")
      return [
        {
          to: { ip: ip.slice(), prefix: message.payload[1] ?? 0 },
          link: link === undefined ? null : readU32(link),
          mtu: metric(attributes, rt.RTAX_MTU),
          advertised: message.payload[5] === rt.RTPROT_RA,
          via: find(attributes, rt.RTA_GATEWAY)?.slice() ?? null,
        },
      ]
    })
  })
}

/** This machine's own addresses. */
export const ownAddresses = (socket: NetlinkSocket): Uint8Array[] =>
  dump(socket, {
    type: rt.RTM_GETADDR,
    flags: 0,
    header: new Uint8Array(IFADDRMSG),
    attributes: [],
    what: "ip address show",
  }).flatMap((message) => {
    const attributes = attributesOf(message, IFADDRMSG)
    // IFA_ADDRESS is the other end's where there is one.
    return (find(attributes, rt.IFA_LOCAL) ?? find(attributes, rt.IFA_ADDRESS))?.slice() ?? []
  })

/** The names of the links whose routes routers have told of. */
export const advertisedLinks = (socket: NetlinkSocket): string[] =>
  [...new Set(routes(socket).flatMap(({ advertised, link }) => (advertised && link !== null ? [link] : [])))].flatMap(
    (index) => getLink(socket, { index })?.name ?? [],
  )

/** The link that the default route of a family leads over; `size` is that of its addresses. Null without one. */
export function defaultLink(socket: NetlinkSocket, size: 4 | 16): Link | null {
  const route = routes(socket).find(({ to, link }) => to.prefix === 0 && to.ip.length === size && link !== null)
  return route?.link ? getLink(socket, { index: route.link }) : null
}

/** The MTU of the default route, or of the link that it leads over, in bytes; null without one. */
export function defaultMtu(socket: NetlinkSocket, known: readonly Route[]): number | null {
  const route = known.find(({ to, link }) => to.prefix === 0 && link !== null)
  if (!route || route.link === null) return null
  const found = getLink(socket, { index: route.link })
  return found && Math.min(found.mtu, route.mtu ?? found.mtu)
}
