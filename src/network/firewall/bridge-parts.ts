/** What toybox's tables of the family bridge have in common. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { isErrno } from "../../../ffi/errno.ts"
import type { Message } from "../../../ffi/netlink/messages.ts"
import { dump, type NetlinkSocket } from "../../../ffi/netlink/socket.ts"
import { decodeElements, type KnownElement } from "./answers.ts"
import * as ex from "./expressions.ts"
import type { Part } from "./parts.ts"
import { deleteTable, getElements, newChain, newRule, newSet, newTable, type Table } from "./requests.ts"
import { generationOf, sendBatch } from "./table.ts"
import { lineOf, type TableShape } from "./table-shape.ts"

const ONE = nf.NFT_REG_1
const LINK = nf.NFT_PAYLOAD_LL_HEADER
const TRANSPORT = nf.NFT_PAYLOAD_TRANSPORT_HEADER
const IPPROTO_ICMPV6 = 58

export const etherType = (text: string, high: number, low: number): Part => ({
  text: `ether type ${text}`,
  expressions: () => [ex.payload(LINK, 12, 2, ONE), ex.compare(ONE, nf.NFT_CMP_EQ, Uint8Array.of(high, low))],
})
export const IP6 = etherType("ip6", 0x86, 0xdd)

export const icmpv6 = (text: string, type: number): Part => ({
  text: `icmpv6 type ${text}`,
  expressions: () => [
    ex.meta(nf.NFT_META_L4PROTO, ONE),
    ex.compare(ONE, nf.NFT_CMP_EQ, Uint8Array.of(IPPROTO_ICMPV6)),
    ex.payload(TRANSPORT, 0, 1, ONE),
    ex.compare(ONE, nf.NFT_CMP_EQ, Uint8Array.of(type)),
  ],
})

const rule = (table: Table, chain: string, parts: readonly Part[]): Message =>
  newRule(
    table,
    chain,
    parts.flatMap(({ expressions }) => expressions()),
    lineOf(parts),
  )

/** The requests that make a table, to be sent in one batch. */
export const shapeMessages = ({ table, sets, chains }: TableShape): Message[] => [
  newTable(table),
  ...sets.map((shape, i) => newSet(table, shape, i + 1)),
  ...chains.map((chain) => newChain(table, chain)),
  ...chains.flatMap(({ name, rules }) => rules.map((parts) => rule(table, name, parts))),
]

/** How many rules it has. */
export const rulesIn = ({ chains }: TableShape): number => chains.flatMap(({ rules }) => rules).length

/** All elements of a set; none where the table has gone meanwhile. */
export function elementsOf(socket: NetlinkSocket, table: Table, set: string): KnownElement[] {
  try {
    return decodeElements(dump(socket, getElements(table, set)))
  } catch (error) {
    if (isErrno(error, "ENOENT")) return []
    throw error
  }
}

/** Removes what may have gone meanwhile. */
export function remove(socket: NetlinkSocket, messages: readonly Message[]): void {
  const [error] = sendBatch(socket, messages)
  if (error && !isErrno(error, "ENOENT", "EOPNOTSUPP", "EAFNOSUPPORT")) throw error
}

const ATTEMPTS = 50

/** Removes a table, if nothing is in its set any more. */
export function removeUnused(socket: NetlinkSocket, table: Table, set: string): void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = generationOf(socket)
    if (elementsOf(socket, table, set).length > 0) return
    // Somebody may just be adding one: then the generation is another, and the batch is refused.
    const [error] = sendBatch(socket, [deleteTable(table)], before)
    if (error === undefined || isErrno(error, "ENOENT")) return
    if (!isErrno(error, "ERESTART")) throw error
  }
}
