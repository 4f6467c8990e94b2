/**
 * toybox's table of nf_tables: all that does not depend on which containers there are. What does are elements of its sets and
 * maps, so that a packet costs the same with one container as with a thousand.
 */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import type { Message } from "../../../ffi/netlink/messages.ts"
import * as ex from "./expressions.ts"
import {
  accept,
  address6,
  back,
  bothLinks,
  clampMss,
  dnatAny,
  dnatOne,
  drop,
  forwardedPort,
  type IpFamily,
  jump,
  known,
  LOOPBACK6,
  link,
  loopback4,
  masquerade,
  notToThisHost,
  type Part,
  PROTOCOL,
  published,
  sourceIn,
  spoofed,
  tcpSyn,
  UNSPECIFIED,
} from "./parts.ts"
import { newChain, newRule, newSet, newTable, type SetShape, type Table } from "./requests.ts"
import { type ChainOfRules, lineOf, type TableShape } from "./table-shape.ts"

const filter = (number: number, priority: number) => ({ type: "filter", number, priority }) as const
const nat = (number: number, priority: number) => ({ type: "nat", number, priority }) as const

/**
 * Says that the table is ours and has these sets: another number for other sets. One with other rules, be it another version's, is
 * made anew with what is in it (ensureNetworks).
 */
export const MARK = "toybox-2"

const CHAINS: readonly ChainOfRules[] = [
  { name: MARK, rules: [] },
  {
    name: "raw",
    hook: filter(nf.NF_INET_PRE_ROUTING, -300),
    rules: [
      // Each packet passes here: it is looked up once where it comes from.
      [link("iifname", "bridges", true), accept],
      // route_localnet, which lets the host itself reach published ports by 127.0.0.1, would let containers reach its loopback.
      [loopback4("daddr"), drop],
      // Neighbour discovery before there is an address.
      [address6("saddr", "::", UNSPECIFIED), accept],
      [spoofed, drop],
    ],
  },
  {
    name: "publish",
    rules: [
      [notToThisHost, back],
      [dnatOne("ip", "bound4")],
      [dnatAny("ip", "ports4")],
      [dnatOne("ip6", "bound6")],
      [dnatAny("ip6", "ports6")],
    ],
  },
  {
    name: "prerouting",
    hook: nat(nf.NF_INET_PRE_ROUTING, -100),
    rules: [[loopback4("daddr"), back], [jump("publish")]],
  },
  {
    name: "output",
    hook: nat(nf.NF_INET_LOCAL_OUT, -100),
    // Linux has no route_localnet for IPv6: what comes from ::1 would not arrive.
    rules: [[address6("daddr", "::1", LOOPBACK6), back], [jump("publish")]],
  },
  {
    name: "clamp",
    rules: [
      [link("iifname", "bridges"), clampMss],
      [link("oifname", "bridges"), clampMss],
    ],
  },
  {
    name: "forward",
    hook: filter(nf.NF_INET_FORWARD, 0),
    rules: [
      [tcpSyn, jump("clamp")],
      [known, accept],
      [bothLinks("within"), accept],
      [link("iifname", "internal"), drop],
      [link("oifname", "internal"), drop],
      [published, accept],
      [link("oifname", "bridges"), drop],
    ],
  },
  {
    name: "input",
    hook: filter(nf.NF_INET_LOCAL_IN, 0),
    // A published port that a process of this machine serves is no way out either.
    rules: [[link("iifname", "internal"), forwardedPort, drop]],
  },
  {
    name: "postrouting",
    hook: nat(nf.NF_INET_POST_ROUTING, 100),
    rules: [
      [link("oifname", "bridges"), loopback4("saddr"), masquerade],
      // A container that reaches another, or itself, by a published port: the answer must come back through here.
      [link("oifname", "bridges"), published, sourceIn("ip", "own4"), masquerade],
      [link("oifname", "bridges"), published, sourceIn("ip6", "own6"), masquerade],
      [link("oifname", "bridges", true), sourceIn("ip", "masquerade4"), masquerade],
      [link("oifname", "bridges", true), sourceIn("ip6", "masquerade6"), masquerade],
    ],
  },
]

const SETS = [
  { name: "bridges", key: ["ifname"] },
  { name: "internal", key: ["ifname"] },
  { name: "within", key: ["ifname", "ifname"] },
  { name: "own4", key: ["ipv4_addr"], interval: true },
  { name: "own6", key: ["ipv6_addr"], interval: true },
  { name: "masquerade4", key: ["ipv4_addr"], interval: true },
  { name: "masquerade6", key: ["ipv6_addr"], interval: true },
  { name: "ports4", key: ["inet_proto", "inet_service"], data: ["ipv4_addr", "inet_service"] },
  { name: "ports6", key: ["inet_proto", "inet_service"], data: ["ipv6_addr", "inet_service"] },
  { name: "bound4", key: ["ipv4_addr", "inet_proto", "inet_service"], data: ["ipv4_addr", "inet_service"] },
  { name: "forwarded", key: ["inet_proto", "inet_service"] },
  { name: "bound6", key: ["ipv6_addr", "inet_proto", "inet_service"], data: ["ipv6_addr", "inet_service"] },
] as const satisfies readonly SetShape[]

export type SetName = (typeof SETS)[number]["name"]

const setFamily = (name: string): IpFamily | undefined =>
  name.endsWith("4") ? "ip" : name.endsWith("6") ? "ip6" : undefined

const fits = (table: Table, family: IpFamily | undefined) =>
  table.family === "inet" || family === undefined || family === table.family

/** Whether a table has a set: those of one family have not those of the other. */
export const hasSet = (table: Table, name: SetName): boolean => fits(table, setFamily(name))

/** The names of a table's sets and maps. */
export const setNames = (table: Table): SetName[] => SETS.map(({ name }) => name).filter((name) => hasSet(table, name))

/** How many rules a table has. */
export const ruleCount = (table: Table): number => CHAINS.flatMap((chain) => rulesOf(table, chain)).length

const setsOf = (table: Table): readonly SetShape[] => SETS.filter(({ name }) => hasSet(table, name))

const rulesOf = (table: Table, { rules }: ChainOfRules) =>
  rules.filter((parts) => parts.every(({ family }) => fits(table, family)))

/** What nft puts before a part of one family in a table of both. */
const familyTest = (table: Table, { family, passes }: Part) =>
  table.family !== "inet" || family === undefined || passes
    ? []
    : [
        ex.meta(nf.NFT_META_NFPROTO, nf.NFT_REG_1),
        ex.compare(nf.NFT_REG_1, nf.NFT_CMP_EQ, Uint8Array.of(PROTOCOL[family])),
      ]

/** The requests that make a table, to be sent in one batch. */
export function tableMessages(table: Table): Message[] {
  return [
    newTable(table),
    ...setsOf(table).map((shape, i) => newSet(table, shape, i + 1)),
    ...CHAINS.map((chain) => newChain(table, chain)),
    ...CHAINS.flatMap((chain) =>
      rulesOf(table, chain).map((parts) =>
        newRule(
          table,
          chain.name,
          parts.flatMap((part) => [...familyTest(table, part), ...part.expressions()]),
          lineOf(parts),
        ),
      ),
    ),
  ]
}

/** The table, as this kernel has it. */
export const tableShape = (table: Table): TableShape => ({
  table,
  sets: setsOf(table),
  chains: CHAINS.map((chain) => ({ ...chain, rules: rulesOf(table, chain) })),
})
