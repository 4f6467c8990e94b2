/**
 * By whom a link is heard at the groups of its own addresses (solicited-node: RFC 4291, section 2.7.1) it reports to switches
 * that send multicast only where it is listened to (MLD: RFC 3810). toybox's bridges do not, and would bring the four reports of
 * each start to every container there is. They end at the bridge: by a table of the family bridge, `bridge toybox-mld`, that is
 * there as long as a network is. Reports of other groups, which routers of multicast live by, go on.
 */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { GROUP } from "../links.ts"
import { IP6, icmpv6, remove, rulesIn, shapeMessages } from "./bridge-parts.ts"
import * as ex from "./expressions.ts"
import { drop, jump, type Part } from "./parts.ts"
import { deleteTable, getChain, getTable, type Table } from "./requests.ts"
import { exists, isWhole, sendBatch, withSocket } from "./table.ts"
import { describeMaking, type TableShape } from "./table-shape.ts"

const TABLE: Table = { family: "bridge", name: "toybox-mld" }
/** Says that the table is ours and of this shape. */
const CHAIN = "reports-1"
const JUDGED = "judged"

const ONE = nf.NFT_REG_1
const TRANSPORT = nf.NFT_PAYLOAD_TRANSPORT_HEADER
const MLD2_REPORT = 143
// RFC 3810, section 5.2: how many records there are, and the first of them; one without sources has its type, lengths and group.
const COUNT = 6
const RECORDS = 8
const RECORD = { size: 20, sources: 2 } as const
// How many sources, none, and behind that all but the last three bytes of ff02::1:ff00:0/104.
const SOLICITED_NODE = Uint8Array.of(0, 0, 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff)

const fromContainer: Part = {
  text: `iifgroup ${GROUP}`,
  expressions: () => [ex.meta(nf.NFT_META_IIFGROUP, ONE), ex.compare(ONE, nf.NFT_CMP_EQ, ex.word(GROUP))],
}

const bytesAt = (offset: number, value: Uint8Array): Part => ({
  text: `@th,${offset * 8},${value.length * 8} 0x${value.toHex()}`,
  expressions: () => [ex.payload(TRANSPORT, offset, value.length, ONE), ex.compare(ONE, nf.NFT_CMP_EQ, value)],
})

/** So many records, all of them of groups of addresses, without sources. */
const ofAddresses = (count: number): Part[] => [
  bytesAt(COUNT, Uint8Array.of(0, count)),
  ...Array.from({ length: count }, (_, i) => bytesAt(RECORDS + i * RECORD.size + RECORD.sources, SOLICITED_NODE)),
]

// All that any bridge carries comes by: the first question is to be one that most of it is done with.
const REPORTS: readonly Part[] = [IP6, fromContainer, icmpv6("mld2-listener-report", MLD2_REPORT), jump(JUDGED)]
// A link has one address of its own, and one of its network.
const COUNTS = [1, 2]

const SHAPE: TableShape = {
  table: TABLE,
  sets: [],
  chains: [
    { name: JUDGED, rules: COUNTS.map((count) => [...ofAddresses(count), drop]) },
    {
      name: CHAIN,
      hook: { type: "filter", number: nf.NF_INET_PRE_ROUTING, priority: -300 },
      rules: [REPORTS],
    },
  ],
}

/** The lines of nft(8) that do what holdReports does. */
export const describeReports = (): string[] =>
  withSocket((socket) => exists(socket, getTable(TABLE))) ? [] : describeMaking(SHAPE)

/**
 * Keeps the reports of containers from one another. That only spares the machine work: where the kernel cannot, somebody else has
 * a table of that name, or makes it at the same moment, nothing is done.
 */
export const holdReports = (): void =>
  withSocket((socket) => {
    const isOurs = exists(socket, getChain(TABLE, CHAIN))
    if (isOurs ? isWhole(socket, TABLE, rulesIn(SHAPE)) : exists(socket, getTable(TABLE))) return
    sendBatch(socket, [...(isOurs ? [deleteTable(TABLE)] : []), ...shapeMessages(SHAPE)])
  })

/** Takes back what holdReports did: there is no network any more. */
export const letReportsGo = (): void =>
  withSocket((socket) => {
    if (exists(socket, getChain(TABLE, CHAIN))) remove(socket, [deleteTable(TABLE)])
  })
