/** Requests to nf_tables: tables, chains, rules, sets and their elements, and the batches that they go in. */
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from "../../../ffi/constants/netlink.ts"
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { type Attribute, be32, bytes, nested, text } from "../../../ffi/netlink/attributes.ts"
import type { Message } from "../../../ffi/netlink/messages.ts"
import type { Expression } from "./expressions.ts"
import { note } from "./typeof.ts"

/** A table; `family` is one of FAMILIES. */
export interface Table {
  readonly family: "inet" | "ip" | "ip6" | "bridge"
  readonly name: string
}

const FAMILIES = {
  inet: nf.NFPROTO_INET,
  ip: nf.NFPROTO_IPV4,
  ip6: nf.NFPROTO_IPV6,
  bridge: nf.NFPROTO_BRIDGE,
} as const

/** Types of keys and values, with nft's own numbers for them: datatype.h of nftables. */
const TYPES = {
  ifname: { number: 41, size: 16, byteOrder: 1 },
  ipv4_addr: { number: 7, size: 4, byteOrder: 2 },
  ipv6_addr: { number: 8, size: 16, byteOrder: 2 },
  ether_addr: { number: 9, size: 6, byteOrder: 2 },
  inet_proto: { number: 12, size: 1, byteOrder: 2 },
  inet_service: { number: 13, size: 2, byteOrder: 2 },
  /** 128 bits of a packet that nft has no name for: its integer. */
  bits128: { number: 4, size: 16, byteOrder: 2 },
} as const
export type Type = keyof typeof TYPES

/** A set, or with `data` a map. Several types are concatenated. */
export interface SetShape {
  readonly name: string
  readonly key: readonly Type[]
  readonly data?: readonly Type[]
  /** Elements are ranges, from one to before an `end`. */
  readonly interval?: boolean
  /** For nft, where the types of the key do not tell what it is: typeof.ts. */
  readonly typeof?: { readonly text: string; readonly note: () => readonly number[] }
}

export interface Element {
  /** Empty of the one that stands for all that no other does. */
  readonly key: Uint8Array
  readonly data?: Uint8Array
  /** As nft(8) has it. */
  readonly text: string
  /** Whose it is: nft shows it as the element's comment. */
  readonly comment?: string
  /** The end of a range, no member itself. */
  readonly end?: boolean
}

export interface ChainShape {
  readonly name: string
  /** Where packets come by: NF_INET_*; without it they come by jumps. */
  readonly hook?: { readonly type: "filter" | "nat"; readonly number: number; readonly priority: number }
}

// struct nfgenmsg: family, version, res_id in network order.
const nfgenmsg = (family: number, resource = 0) => Uint8Array.of(family, 0, resource >> 8, resource & 0xff)

function message(table: Table, type: number, flags: number, attributes: readonly Attribute[], what: string): Message {
  return {
    type: (nf.NFNL_SUBSYS_NFTABLES << 8) | type,
    flags: NLM_F_REQUEST | flags,
    header: nfgenmsg(FAMILIES[table.family]),
    attributes,
    what: `nft ${what}`,
  }
}

const nameOf = ({ family, name }: Table) => `${family} ${name}`

/** Those that take effect together or not at all; with a `generation`, only while the rules are what they were then. */
export function batch(messages: readonly Message[], generation?: number): Message[] {
  const bound = (type: number, attributes: readonly Attribute[]): Message => ({
    type,
    flags: NLM_F_REQUEST,
    header: nfgenmsg(0, nf.NFNL_SUBSYS_NFTABLES),
    attributes,
    what: messages[0]?.what ?? "nft",
  })
  return [
    bound(nf.NFNL_MSG_BATCH_BEGIN, generation === undefined ? [] : [be32(nf.NFNL_BATCH_GENID, generation)]),
    ...messages,
    bound(nf.NFNL_MSG_BATCH_END, []),
  ]
}

/** Makes a table; fails with EEXIST where there is one. */
export const newTable = (table: Table): Message =>
  message(
    table,
    nf.NFT_MSG_NEWTABLE,
    NLM_F_CREATE | NLM_F_EXCL,
    [text(nf.NFTA_TABLE_NAME, table.name)],
    `create table ${nameOf(table)}`,
  )

/** Removes a table with all that is in it. */
export const deleteTable = (table: Table): Message =>
  message(table, nf.NFT_MSG_DELTABLE, 0, [text(nf.NFTA_TABLE_NAME, table.name)], `delete table ${nameOf(table)}`)

export const newChain = (table: Table, { name, hook }: ChainShape): Message =>
  message(
    table,
    nf.NFT_MSG_NEWCHAIN,
    NLM_F_CREATE,
    [
      text(nf.NFTA_CHAIN_TABLE, table.name),
      text(nf.NFTA_CHAIN_NAME, name),
      ...(hook
        ? [
            text(nf.NFTA_CHAIN_TYPE, hook.type),
            be32(nf.NFTA_CHAIN_POLICY, nf.NF_ACCEPT),
            nested(nf.NFTA_CHAIN_HOOK, [
              be32(nf.NFTA_HOOK_HOOKNUM, hook.number),
              be32(nf.NFTA_HOOK_PRIORITY, hook.priority),
            ]),
          ]
        : []),
    ],
    `add chain ${nameOf(table)} ${name}`,
  )

/** Adds a rule at the end of a chain; `line` is nft's own for it. */
export const newRule = (table: Table, chain: string, expressions: readonly Expression[], line: string): Message =>
  message(
    table,
    nf.NFT_MSG_NEWRULE,
    NLM_F_CREATE | NLM_F_APPEND,
    [
      text(nf.NFTA_RULE_TABLE, table.name),
      text(nf.NFTA_RULE_CHAIN, chain),
      nested(nf.NFTA_RULE_EXPRESSIONS, expressions),
    ],
    `add rule ${nameOf(table)} ${chain} ${line}`,
  )

// A part of a concatenation fills registers of four bytes.
const registers = (size: number) => (size + 3) & ~3
const TYPE_BITS = 6

const typeNumber = (types: readonly Type[]) =>
  types.reduce((number, type) => (number << TYPE_BITS) | TYPES[type].number, 0)

function typeSize(types: readonly Type[]): number {
  const [first, ...more] = types.map((type) => TYPES[type].size)
  return more.length === 0 ? (first ?? 0) : [first ?? 0, ...more].reduce((sum, size) => sum + registers(size), 0)
}

// nft's notes for itself, as it needs them to show the elements: NFTNL_UDATA_SET_KEYBYTEORDER and _DATABYTEORDER.
const byteOrder = (types: readonly Type[]) =>
  Uint8Array.of(types.length === 1 && types[0] ? TYPES[types[0]].byteOrder : 0, 0, 0, 0)

/** `id` tells sets apart that are made in the same batch. */
export function newSet(table: Table, shape: SetShape, id: number): Message {
  const { name, key, data, interval } = shape
  const notes = [
    ...note(0, byteOrder(key)),
    ...(data ? note(1, byteOrder(data)) : []),
    ...(shape.typeof ? note(3, shape.typeof.note()) : []),
  ]
  return message(
    table,
    nf.NFT_MSG_NEWSET,
    NLM_F_CREATE,
    [
      text(nf.NFTA_SET_TABLE, table.name),
      text(nf.NFTA_SET_NAME, name),
      be32(nf.NFTA_SET_FLAGS, (data ? nf.NFT_SET_MAP : 0) | (interval ? nf.NFT_SET_INTERVAL : 0)),
      be32(nf.NFTA_SET_KEY_TYPE, typeNumber(key)),
      be32(nf.NFTA_SET_KEY_LEN, typeSize(key)),
      ...(data ? [be32(nf.NFTA_SET_DATA_TYPE, typeNumber(data)), be32(nf.NFTA_SET_DATA_LEN, typeSize(data))] : []),
      be32(nf.NFTA_SET_ID, id),
      bytes(nf.NFTA_SET_USERDATA, Uint8Array.from(notes)),
    ],
    `add ${data ? "map" : "set"} ${nameOf(table)} ${name}`,
  )
}

// NFTNL_UDATA_SET_ELEM_COMMENT: a string with its NUL.
const comment = (words: string) => Uint8Array.from(note(0, new TextEncoder().encode(`${words}\0`)))

const keyAttribute = (key: Uint8Array): Attribute =>
  key.length === 0
    ? be32(nf.NFTA_SET_ELEM_FLAGS, nf.NFT_SET_ELEM_CATCHALL)
    : nested(nf.NFTA_SET_ELEM_KEY, [bytes(nf.NFTA_DATA_VALUE, key)])

const elementAttribute = ({ key, data, comment: words, end }: Element): Attribute =>
  nested(nf.NFTA_LIST_ELEM, [
    ...(end ? [be32(nf.NFTA_SET_ELEM_FLAGS, nf.NFT_SET_ELEM_INTERVAL_END)] : []),
    keyAttribute(key),
    ...(data ? [nested(nf.NFTA_SET_ELEM_DATA, [bytes(nf.NFTA_DATA_VALUE, data)])] : []),
    ...(words === undefined ? [] : [bytes(nf.NFTA_SET_ELEM_USERDATA, comment(words))]),
  ])

const describeElements = (verb: string, table: Table, set: string, elements: readonly Element[]) => {
  const shown = elements.filter(({ end }) => !end).map(({ text: words }) => words)
  return `${verb} element ${nameOf(table)} ${set} { ${shown.join(", ")} }`
}

// An attribute holds 64 KiB; an element takes 200 bytes at most.
const MOST_ELEMENTS = 250

function elementRequests(
  table: Table,
  set: string,
  elements: readonly Element[],
  { type, flags, verb }: { type: number; flags: number; verb: string },
): Message[] {
  const requests: Message[] = []
  for (let from = 0; from < elements.length; from += MOST_ELEMENTS) {
    const some = elements.slice(from, from + MOST_ELEMENTS)
    requests.push(
      message(
        table,
        type,
        flags,
        [
          text(nf.NFTA_SET_ELEM_LIST_TABLE, table.name),
          text(nf.NFTA_SET_ELEM_LIST_SET, set),
          nested(nf.NFTA_SET_ELEM_LIST_ELEMENTS, some.map(elementAttribute)),
        ],
        describeElements(verb, table, set, some),
      ),
    )
  }
  return requests
}

/** Adds elements; with `exclusive` it fails with EEXIST where one is there. A map's is refused, too, that has another value. */
export const addElements = (table: Table, set: string, elements: readonly Element[], exclusive = false): Message[] =>
  elementRequests(table, set, elements, {
    type: nf.NFT_MSG_NEWSETELEM,
    flags: NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0),
    verb: exclusive ? "create" : "add",
  })

/** Removes elements; fails with ENOENT where one is not there. */
export const deleteElements = (table: Table, set: string, elements: readonly Element[]): Message[] =>
  elementRequests(table, set, elements, { type: nf.NFT_MSG_DELSETELEM, flags: 0, verb: "delete" })

/** To be dumped: all elements of a set; with a key, to be asked for: the one that means it, ENOENT without one. Since 4.15. */
export const getElements = (table: Table, set: string, one?: Element): Message =>
  message(
    table,
    nf.NFT_MSG_GETSETELEM,
    0,
    [
      text(nf.NFTA_SET_ELEM_LIST_TABLE, table.name),
      text(nf.NFTA_SET_ELEM_LIST_SET, set),
      ...(one ? [nested(nf.NFTA_SET_ELEM_LIST_ELEMENTS, [elementAttribute(one)])] : []),
    ],
    `list set ${nameOf(table)} ${set}`,
  )

const ofChain = (table: Table, chain: string, type: number, [ofTable, ofName]: readonly [number, number]): Message =>
  message(table, type, 0, [text(ofTable, table.name), text(ofName, chain)], `list chain ${nameOf(table)} ${chain}`)

/** Asks for a chain; ENOENT where it or its table is not there. */
export const getChain = (table: Table, name: string): Message =>
  ofChain(table, name, nf.NFT_MSG_GETCHAIN, [nf.NFTA_CHAIN_TABLE, nf.NFTA_CHAIN_NAME])

/** To be dumped: the rules of a chain. */
export const getRules = (table: Table, chain: string): Message =>
  ofChain(table, chain, nf.NFT_MSG_GETRULE, [nf.NFTA_RULE_TABLE, nf.NFTA_RULE_CHAIN])

/** To be dumped: the rules of all chains of a table. */
export const getAllRules = (table: Table): Message =>
  message(table, nf.NFT_MSG_GETRULE, 0, [text(nf.NFTA_RULE_TABLE, table.name)], `list table ${nameOf(table)}`)

/** Asks for a table; ENOENT where it is not there. */
export const getTable = (table: Table): Message =>
  message(table, nf.NFT_MSG_GETTABLE, 0, [text(nf.NFTA_TABLE_NAME, table.name)], `list table ${nameOf(table)}`)

/** Asks for the generation of the rules, which every change makes a new one. */
export const getGeneration = (): Message => ({
  type: (nf.NFNL_SUBSYS_NFTABLES << 8) | nf.NFT_MSG_GETGEN,
  flags: NLM_F_REQUEST,
  header: nfgenmsg(0),
  attributes: [],
  what: "nft list ruleset",
})

/** To be dumped: all chains, of all families and tables. */
export const getAllChains = (): Message => ({
  type: (nf.NFNL_SUBSYS_NFTABLES << 8) | nf.NFT_MSG_GETCHAIN,
  flags: NLM_F_REQUEST,
  header: nfgenmsg(0),
  attributes: [],
  what: "nft list chains",
})
