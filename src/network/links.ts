/** What toybox does to links, addresses and routes: as data, as rtnetlink(7) requests, and as the lines of ip(8) that do it. */
import { NLM_F_CREATE, NLM_F_EXCL } from "../../ffi/constants/netlink.ts"
import * as rt from "../../ffi/constants/rtnetlink.ts"
import { AF_INET, AF_INET6 } from "../../ffi/constants/socket.ts"
import { type Attribute, bytes, encodeAttributes, nested, text, u8, u32 } from "../../ffi/netlink/attributes.ts"
import type { Message } from "../../ffi/netlink/messages.ts"
import { formatIp } from "./ip.ts"

/** Of the links of containers out here, so that rules can tell them from others': "tb". */
export const GROUP = 0x7462

/** A network, or an address in one: 4 or 16 bytes in network order, and the length of the prefix in bits. */
export interface Cidr {
  readonly ip: Uint8Array
  readonly prefix: number
}

export type LinkStep =
  /** With a link address of its own: else it has the lowest of its ports', and another when that goes. */
  | { kind: "bridge"; name: string; mac: Uint8Array }
  /** In bytes. A bridge whose MTU is changed keeps it; else, however it was made, it takes its ports', and without one 1500. */
  | { kind: "mtu"; name: string; mtu: number }
  /** Tells whose a link is. The kernel takes none with a link that is being made. */
  | { kind: "alias"; name: string; alias: string }
  /** A pair: one end is a port of a bridge here, the other is made, down, in the network namespace of a process. */
  /** `mtu` in bytes. */
  | {
      kind: "veth"
      name: string
      mtu: number
      bridge: { name: string; index: number }
      peer: { name: string; mac: Uint8Array; pid: number }
    }
  /** A port, up from here on, that can change nothing about its bridge; `isolated` ports do not reach one another: bridge(8). */
  | { kind: "port"; name: string; isolated: boolean; hairpin: boolean }
  | { kind: "up"; name: string }
  | { kind: "address"; link: { name: string; index: number }; address: Cidr }
  | { kind: "default-route"; link: { name: string; index: number }; gateway: Uint8Array }
  | { kind: "delete"; name: string }

export const formatCidr = ({ ip, prefix }: Cidr): string => `${formatIp(ip)}/${prefix}`

export const formatMac = (mac: Uint8Array): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":")

/** The last address of an IPv4 network: where its broadcasts go. */
export function broadcastOf({ ip, prefix }: Cidr): Uint8Array {
  return ip.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, prefix - 8 * i))))
}

/** The line of ip(8) that does the same. */
export function describeLink(step: LinkStep): string {
  switch (step.kind) {
    case "bridge":
      return `ip link add ${step.name} address ${formatMac(step.mac)} up type bridge mcast_snooping 0`
    case "veth": {
      const { name, mac, pid } = step.peer
      const queues = "numtxqueues 1 numrxqueues 1"
      const peer = `peer name ${name} mtu ${step.mtu} address ${formatMac(mac)} netns ${pid} ${queues}`
      return `ip link add ${step.name} mtu ${step.mtu} master ${step.bridge.name} group ${GROUP} ${queues} type veth ${peer}`
    }
    case "mtu":
      return `ip link set ${step.name} mtu ${step.mtu}`
    case "alias":
      return `ip link set ${step.name} alias "${step.alias}"`
    case "port":
      return `ip link set ${step.name} up type bridge_slave isolated ${step.isolated ? "on" : "off"} hairpin ${step.hairpin ? "on" : "off"} guard on root_block on`
    case "up":
      return `ip link set ${step.name} up`
    case "address": {
      const { link, address } = step
      const how = address.ip.length === 4 ? "broadcast +" : "nodad"
      return `ip address add ${formatCidr(address)} dev ${link.name} ${how}`
    }
    case "default-route":
      return `ip ${step.gateway.length === 4 ? "" : "-6 "}route add default via ${formatIp(step.gateway)} dev ${step.link.name}`
    case "delete":
      return `ip link delete ${step.name}`
  }
}

/** struct ifinfomsg. */
function ifinfomsg(index: number, flags: number): Uint8Array {
  const header = new Uint8Array(16)
  const view = new DataView(header.buffer)
  view.setInt32(4, index, true)
  view.setUint32(8, flags, true)
  view.setUint32(12, flags, true)
  return header
}

const family = (ip: Uint8Array) => (ip.length === 4 ? AF_INET : AF_INET6)

/** struct ifaddrmsg. */
function ifaddrmsg({ ip, prefix }: Cidr, index: number): Uint8Array {
  const header = new Uint8Array([family(ip), prefix, 0, 0, 0, 0, 0, 0])
  new DataView(header.buffer).setUint32(4, index, true)
  return header
}

/** struct rtmsg. */
const rtmsg = (addressFamily: number, prefix: number): Uint8Array =>
  new Uint8Array([
    addressFamily,
    prefix,
    ...[0, 0, rt.RT_TABLE_MAIN, rt.RTPROT_BOOT, rt.RT_SCOPE_UNIVERSE, rt.RTN_UNICAST],
    ...[0, 0, 0, 0],
  ])

const UP = ifinfomsg(0, rt.IFF_UP)

type Body = Pick<Message, "type" | "flags" | "header" | "attributes">

const makes = (header: Uint8Array, attributes: readonly Attribute[], type = rt.RTM_NEWLINK): Body => ({
  type,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  header,
  attributes,
})

const changes = (header: Uint8Array, attributes: readonly Attribute[], type = rt.RTM_NEWLINK): Body => ({
  type,
  flags: 0,
  header,
  attributes,
})

const linkInfo = (kind: string, ...data: Attribute[]) =>
  nested(rt.IFLA_LINKINFO, [text(rt.IFLA_INFO_KIND, kind), ...data])

/** The kernel would have one for each processor and use one, and wait until all of them have seen that the others are not used. */
const ONE_QUEUE = [u32(rt.IFLA_NUM_TX_QUEUES, 1), u32(rt.IFLA_NUM_RX_QUEUES, 1)]

function body(step: LinkStep): Body {
  switch (step.kind) {
    case "bridge":
      return makes(UP, [
        text(rt.IFLA_IFNAME, step.name),
        bytes(rt.IFLA_ADDRESS, step.mac),
        // Nobody asks the containers what they listen to, and so everything would go to all of them anyway; but each would have timers.
        linkInfo("bridge", nested(rt.IFLA_INFO_DATA, [u8(rt.IFLA_BR_MCAST_SNOOPING, 0)])),
      ])
    case "veth": {
      const { name, mac, pid } = step.peer
      const peer = encodeAttributes([
        text(rt.IFLA_IFNAME, name),
        u32(rt.IFLA_MTU, step.mtu),
        bytes(rt.IFLA_ADDRESS, mac),
        u32(rt.IFLA_NET_NS_PID, pid),
        ...ONE_QUEUE,
      ])
      return makes(ifinfomsg(0, 0), [
        text(rt.IFLA_IFNAME, step.name),
        u32(rt.IFLA_MTU, step.mtu),
        u32(rt.IFLA_MASTER, step.bridge.index),
        u32(rt.IFLA_GROUP, GROUP),
        ...ONE_QUEUE,
        linkInfo(
          "veth",
          nested(rt.IFLA_INFO_DATA, [bytes(rt.VETH_INFO_PEER, Uint8Array.from([...ifinfomsg(0, 0), ...peer]))]),
        ),
      ])
    }
    case "mtu":
      return changes(ifinfomsg(0, 0), [text(rt.IFLA_IFNAME, step.name), u32(rt.IFLA_MTU, step.mtu)])
    case "alias":
      return changes(ifinfomsg(0, 0), [text(rt.IFLA_IFNAME, step.name), text(rt.IFLA_IFALIAS, step.alias)])
    case "port": {
      const data = nested(rt.IFLA_INFO_SLAVE_DATA, [
        u8(rt.IFLA_BRPORT_ISOLATED, step.isolated ? 1 : 0),
        u8(rt.IFLA_BRPORT_MODE, step.hairpin ? 1 : 0),
        u8(rt.IFLA_BRPORT_GUARD, 1),
        u8(rt.IFLA_BRPORT_PROTECT, 1),
      ])
      const info = nested(rt.IFLA_LINKINFO, [text(rt.IFLA_INFO_SLAVE_KIND, "bridge"), data])
      return changes(UP, [text(rt.IFLA_IFNAME, step.name), info])
    }
    case "up":
      return changes(UP, [text(rt.IFLA_IFNAME, step.name)])
    case "address": {
      const { ip } = step.address
      const own = [bytes(rt.IFA_LOCAL, ip), bytes(rt.IFA_ADDRESS, ip)]
      // Nobody else can have it: waiting two seconds for an answer would be in vain.
      const more =
        ip.length === 4 ? bytes(rt.IFA_BROADCAST, broadcastOf(step.address)) : u32(rt.IFA_FLAGS, rt.IFA_F_NODAD)
      return makes(ifaddrmsg(step.address, step.link.index), [...own, more], rt.RTM_NEWADDR)
    }
    case "default-route":
      return makes(
        rtmsg(family(step.gateway), 0),
        [bytes(rt.RTA_GATEWAY, step.gateway), u32(rt.RTA_OIF, step.link.index)],
        rt.RTM_NEWROUTE,
      )
    case "delete":
      return changes(ifinfomsg(0, 0), [text(rt.IFLA_IFNAME, step.name)], rt.RTM_DELLINK)
  }
}

/** The request of a step; errors name it by its line of ip(8). */
export const linkMessage = (step: LinkStep): Message => ({ ...body(step), what: describeLink(step) })
