/**
 * A container that may make packets of its own (CAP_NET_RAW) or give itself addresses (CAP_NET_ADMIN) is not to take its
 * neighbours': from its port of the bridge only what comes from its own addresses goes on, and no router's messages. In a table
 * of the family bridge, `bridge toybox`, which is there as long as such a container is.
 */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { tryReadText, unlink } from "../../../ffi/fs.ts"
import type { Message } from "../../../ffi/netlink/messages.ts"
import type { NetlinkSocket } from "../../../ffi/netlink/socket.ts"
import { writeAtOnce } from "../../state-file.ts"
import { formatIp, linkLocal } from "../ip.ts"
import { formatMac } from "../links.ts"
import { asElement } from "./answers.ts"
import { elementsOf, etherType, IP6, icmpv6, remove, removeUnused, rulesIn, shapeMessages } from "./bridge-parts.ts"
import { ifname } from "./elements.ts"
import * as ex from "./expressions.ts"
import { accept, drop, jump, link, type Part } from "./parts.ts"
import {
  addElements,
  deleteElements,
  deleteTable,
  type Element,
  getChain,
  type SetShape,
  type Table,
} from "./requests.ts"
import { exists, generationOf, hasNfTables, isOurs, isWhole, sendBatch, withSocket } from "./table.ts"
import { describeMaking, type TableShape } from "./table-shape.ts"
import { ETHER_SOURCE, IIFNAME, rawBits, typeofKey } from "./typeof.ts"

/** A container's end on the bridge, and what may come from it: 6, 4 and 16 bytes. */
export interface Guarded {
  readonly link: string
  readonly mac: Uint8Array
  readonly ip: Uint8Array
  readonly ip6: Uint8Array | null
}

const TABLE: Table = { family: "bridge", name: "toybox" }
/** Says that the table is ours and of this shape. */
const MARK = "toybox-guard-2"

const ONE = nf.NFT_REG_1
const TWO = nf.NFT_REG_2
// Behind the name of a link, of 16 bytes, and an address of a link, of 8 with what fills them up.
const THREE = nf.NFT_REG32_00 + 6
const LINK = nf.NFT_PAYLOAD_LL_HEADER
const NETWORK = nf.NFT_PAYLOAD_NETWORK_HEADER
const TRANSPORT = nf.NFT_PAYLOAD_TRANSPORT_HEADER

/** Where something is in a packet. */
interface Field {
  readonly text: string
  readonly base: number
  readonly offset: number
  readonly length: number
}
const ETHER_SADDR: Field = { text: "ether saddr", base: LINK, offset: 6, length: 6 }
const ARP_SADDR_ETHER: Field = { text: "arp saddr ether", base: NETWORK, offset: 8, length: 6 }
const ARP_SADDR_IP: Field = { text: "arp saddr ip", base: NETWORK, offset: 14, length: 4 }
const IP_SADDR: Field = { text: "ip saddr", base: NETWORK, offset: 12, length: 4 }
const IP6_SADDR: Field = { text: "ip6 saddr", base: NETWORK, offset: 8, length: 16 }
// nft has a name for it, icmpv6 taddr, since 1.0.8: older ones would not read what they show themselves.
const ND_TARGET_BITS = rawBits("th", TRANSPORT, 64, 128)
const ND_TARGET: Field = { text: ND_TARGET_BITS.text, base: TRANSPORT, offset: 8, length: 16 }

const load = ({ base, offset, length }: Field, register: number) => ex.payload(base, offset, length, register)

/** The packet is one of a sender that is known: its port, the address of its link, and its own. */
const isSender = (set: string, ether: Field, address: Field, inverted = false): Part => ({
  text: `iifname . ${ether.text} . ${address.text} ${inverted ? "!= " : ""}@${set}`,
  expressions: () => [
    ex.meta(nf.NFT_META_IIFNAME, ONE),
    load(ether, TWO),
    load(address, THREE),
    ex.inSet(set, ONE, inverted),
  ],
})

const ARP = etherType("arp", 0x08, 0x06)
const IP = etherType("ip", 0x08, 0x00)

const GUARDED: readonly (readonly Part[])[] = [
  [IP, isSender("senders4", ETHER_SADDR, IP_SADDR), accept],
  [ARP, isSender("senders4", ETHER_SADDR, ARP_SADDR_IP), isSender("senders4", ARP_SADDR_ETHER, ARP_SADDR_IP), accept],
  // CVE-2020-13401: to its neighbours a container is no router.
  [IP6, icmpv6("nd-router-advert", 134), drop],
  [IP6, icmpv6("nd-redirect", 137), drop],
  [IP6, icmpv6("nd-neighbor-advert", 136), isSender("targets6", ETHER_SADDR, ND_TARGET, true), drop],
  [IP6, isSender("senders6", ETHER_SADDR, IP6_SADDR), accept],
  [drop],
]

const SETS = [
  { name: "guarded", key: ["ifname"] },
  { name: "senders4", key: ["ifname", "ether_addr", "ipv4_addr"] },
  { name: "senders6", key: ["ifname", "ether_addr", "ipv6_addr"] },
  {
    name: "targets6",
    key: ["ifname", "ether_addr", "bits128"],
    typeof: typeofKey([IIFNAME, ETHER_SOURCE, ND_TARGET_BITS]),
  },
] as const satisfies readonly SetShape[]

const SHAPE: TableShape = {
  table: TABLE,
  sets: SETS,
  chains: [
    { name: MARK, rules: [] },
    { name: "judged", rules: GUARDED },
    {
      name: "prerouting",
      hook: { type: "filter", number: nf.NF_INET_PRE_ROUTING, priority: -300 },
      rules: [[link("iifname", "guarded"), jump("judged")]],
    },
  ],
}

function entriesOf({ link: name, mac, ip, ip6 }: Guarded): { set: string; elements: Element[] }[] {
  const from = (address: Uint8Array, shown = formatIp(address)): Element => ({
    key: Uint8Array.of(...ifname(name), ...mac, 0, 0, ...address),
    text: `"${name}" . ${formatMac(mac)} . ${shown}`,
  })
  // Before it has an address it asks whether somebody else has.
  const six = ip6 === null ? [] : [ip6, linkLocal(mac), new Uint8Array(16)]
  return [
    { set: "guarded", elements: [{ key: ifname(name), text: `"${name}"` }] },
    { set: "senders4", elements: [from(ip)] },
    { set: "senders6", elements: six.map((address) => from(address)) },
    { set: "targets6", elements: six.map((address) => from(address, `0x${address.toHex()}`)) },
  ].filter(({ elements }) => elements.length > 0)
}

/** The lines of nft(8) that do what guard does. */
export function describeGuard(links: readonly Guarded[]): string[] {
  if (!hasNfTables()) return []
  return [
    ...(withSocket(isThere) ? [] : describeMaking(SHAPE)),
    ...links
      .flatMap(entriesOf)
      .flatMap(({ set, elements }) => elements.map(({ text }) => `nft add element bridge toybox ${set} '{ ${text} }'`)),
  ]
}

const ATTEMPTS = 50

const RULES = rulesIn(SHAPE)

/** What adds the elements of the table to another that is in its place. */
const contents = (socket: NetlinkSocket): Message[] =>
  SETS.flatMap(({ name }) => addElements(TABLE, name, elementsOf(socket, TABLE, name).map(asElement)))

/** The path of a file that is there as long as the table is to be: who finds it without the table knows that somebody removed that. */
export type Mark = string

/** Makes that file. */
export const setMark = (mark: Mark): void => writeAtOnce(mark, new Uint8Array())

/**
 * Lets from these links only what comes from their own addresses. They need not be there yet. False where the kernel has no
 * nf_tables for bridges. Throws ToyboxError where a table of our name is somebody else's.
 */
export function guard(links: readonly Guarded[], mark: Mark): boolean {
  if (!hasNfTables() || !addLinks(links)) return false
  setMark(mark)
  return true
}

function addLinks(links: readonly Guarded[]): boolean {
  const added = links.flatMap(entriesOf).flatMap(({ set, elements }) => addElements(TABLE, set, elements))
  return withSocket((socket) => {
    for (let attempt = 0; ; attempt++) {
      const before = generationOf(socket)
      const isMade = isOurs(socket, TABLE, MARK)
      const isBroken = isMade && !isWhole(socket, TABLE, RULES)
      const anew = isBroken ? [deleteTable(TABLE), ...shapeMessages(SHAPE), ...contents(socket)] : []
      const table = isMade ? anew : shapeMessages(SHAPE)
      const [error] = sendBatch(socket, [...table, ...added], isBroken ? before : undefined)
      if (error === undefined) return true
      if (isErrno(error, "EOPNOTSUPP", "EAFNOSUPPORT")) return false
      // Another has made, changed or removed it meanwhile.
      if (!isErrno(error, "EEXIST", "ENOENT", "ERESTART") || attempt >= ATTEMPTS) throw error
    }
  })
}

/** Whether nothing is missing of what guard did about these links. */
export function areGuarded(links: readonly Guarded[]): boolean {
  if (links.length === 0 || !hasNfTables()) return true
  return withSocket((socket) => {
    if (!isThere(socket)) return false
    const known = new Set(elementsOf(socket, TABLE, "guarded").map(({ key }) => key.toHex()))
    return isWhole(socket, TABLE, RULES) && links.every(({ link: name }) => known.has(ifname(name).toHex()))
  })
}

/** Takes back what guard did, and the table with the last of them. Where nothing is there it does nothing. */
export function unguard(links: readonly Guarded[], mark: Mark): void {
  if (!hasNfTables()) return
  withSocket((socket) => {
    if (!isThere(socket)) return
    for (const { set, elements } of links.flatMap(entriesOf))
      for (const element of elements) remove(socket, deleteElements(TABLE, set, [element]))
    // First: who makes the table anew sets it after that.
    unlink(mark)
    removeUnused(socket, TABLE, "guarded")
    if (isThere(socket)) setMark(mark)
  })
}

/** Removes the table, whatever is in it: there is no network any more. */
export function unguardAll(mark: Mark): void {
  unlink(mark)
  withSocket((socket) => {
    if (isThere(socket)) remove(socket, [deleteTable(TABLE)])
  })
}

/** Whether somebody has removed the table, or rules of it. */
export const isGuardLost = (mark: Mark): boolean =>
  tryReadText(mark) !== null && withSocket((socket) => !isThere(socket) || !isWhole(socket, TABLE, RULES))

/** What has our name may be somebody else's. */
const isThere = (socket: NetlinkSocket) => exists(socket, getChain(TABLE, MARK))
