/** What rules of nf_tables do with a packet: the expressions of linux/netfilter/nf_tables.h, carried out as far as they are known. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { type Attribute, decodeAttributes, find, readBe32, readString } from "../../../ffi/netlink/attributes.ts"
import { type KnownElement, type Verdict, verdictIn } from "./answers.ts"
import { type Answer, linkName, type Packet, PROTOCOL_TCP, STATE_BITS, xtMatches } from "./packet.ts"

/** A set or map. */
export interface KnownSet {
  /** Of a large one only some. */
  readonly elements: readonly KnownElement[]
  /** Which of a large one's is for a value. */
  readonly get?: (value: Uint8Array) => KnownElement | null
}

/** Those of the rule's table. */
export type Sets = (name: string) => KnownSet

const REGISTERS = 16
const NAMES = { ip: nf.NFPROTO_IPV4, ip6: nf.NFPROTO_IPV6 } as const
const HEADER = {
  ip: { size: 20, source: 12, destination: 16, protocol: 9, ethertype: [0x08, 0x00] },
  ip6: { size: 40, source: 8, destination: 24, protocol: 6, ethertype: [0x86, 0xdd] },
} as const

type Known = readonly (number | null)[]
const unknown = (length: number): Known => Array<null>(length).fill(null)
const word = (value: number): Known => [...new Uint8Array(Uint32Array.of(value).buffer)]

/** As many bytes as the words have that so many are put into. */
const wordsOf = (length: number) => (length + 3) & ~3

/** The network header, byte by byte. */
function header({ family, from, to }: Packet): (number | null)[] {
  const { size, source, destination, protocol } = HEADER[family]
  const bytes = Array<number | null>(size).fill(null)
  for (const [at, side] of [
    [source, from],
    [destination, to],
  ] as const)
    for (const [i, byte] of (side.address ?? []).entries()) bytes[at + i] = byte
  bytes[protocol] = PROTOCOL_TCP
  return bytes
}

function meta(key: number, packet: Packet): Known {
  const { from, to, family } = packet
  switch (key) {
    case nf.NFT_META_IIFNAME:
      return [...(linkName(from) ?? unknown(16))]
    case nf.NFT_META_OIFNAME:
      return [...(linkName(to) ?? unknown(16))]
    case nf.NFT_META_IIF:
      return from.link ? word(from.link.index) : unknown(4)
    case nf.NFT_META_OIF:
      return to.link ? word(to.link.index) : unknown(4)
    case nf.NFT_META_NFPROTO:
      return [NAMES[family], 0, 0, 0]
    case nf.NFT_META_PROTOCOL:
      return [...HEADER[family].ethertype, 0, 0]
    case nf.NFT_META_L4PROTO:
      return [PROTOCOL_TCP, 0, 0, 0]
    default:
      return unknown(4)
  }
}

function conntrack(key: number, { state, answers, led }: Packet): Known {
  if (key === nf.NFT_CT_STATE) return word(STATE_BITS[state])
  if (key === nf.NFT_CT_DIRECTION) return [answers ? 1 : 0, 0, 0, 0]
  // Which others are set depends on how far its connection has come.
  if (key === nf.NFT_CT_STATUS) return [led ? nf.IPS_DST_NAT : 0, null, null, null]
  return unknown(4)
}

/** The registers that rules have: bytes, as far as they are known. */
function registers() {
  const bytes = Array<number | null>(REGISTERS * 4).fill(null)
  // Those of 16 bytes come from one on, those of four lie over them.
  const at = (register: number) => 4 * (register >= nf.NFT_REG32_00 ? register - nf.NFT_REG32_00 : 4 * (register - 1))
  return {
    load(register: number, value: Known) {
      for (const [i, byte] of value.entries()) bytes[at(register) + i] = byte
    },
    read(register: number, length: number): Known {
      return bytes.slice(at(register), at(register) + length)
    },
  }
}

const isKnown = (bytes: Known): bytes is readonly number[] => !bytes.includes(null)

/** Less than 0, 0 or more, as memcmp(3) has it; null where it is not known. */
function compare(bytes: Known, other: Uint8Array): number | null {
  for (const [i, byte] of other.entries()) {
    const own = bytes[i] ?? null
    if (own === null) return null
    if (own !== byte) return own - byte
  }
  return 0
}

const OPERATORS: Readonly<Record<number, (order: number) => boolean>> = {
  [nf.NFT_CMP_EQ]: (order) => order === 0,
  [nf.NFT_CMP_NEQ]: (order) => order !== 0,
  [nf.NFT_CMP_LT]: (order) => order < 0,
  [nf.NFT_CMP_LTE]: (order) => order <= 0,
  [nf.NFT_CMP_GT]: (order) => order > 0,
  [nf.NFT_CMP_GTE]: (order) => order >= 0,
}

/** The element that a value is in: null where there is none, undefined where it is not known. */
function lookUp({ elements: all, get }: KnownSet, value: Known): KnownElement | null | undefined {
  const elements = all.filter(isOfValues)
  const otherwise = all.find((element) => !isOfValues(element)) ?? null
  if (elements.length === 0) return otherwise
  // Ranges of several parts at once are not read.
  if (!isKnown(value) || elements.some(({ ranged }) => ranged)) return undefined
  if (get) return get(Uint8Array.from(value))
  if (!elements.some(({ end }) => end)) return elements.find(({ key }) => compare(value, key) === 0) ?? otherwise
  const before = elements
    .filter(({ key }) => (compare(value, key) ?? -1) >= 0)
    .sort((a, b) => Buffer.compare(b.key, a.key) || Number(a.end) - Number(b.end))[0]
  return before === undefined || before.end ? otherwise : before
}

/** Not of the one for all others. */
const isOfValues = ({ key }: KnownElement) => key.length > 0

const number = (attributes: readonly Attribute[], type: number): number => {
  const data = find(attributes, type)
  return data === undefined ? 0 : readBe32(data)
}
const data = (attributes: readonly Attribute[], type: number): Uint8Array => {
  const value = find(attributes, type)
  return (value && find(decodeAttributes(value), nf.NFTA_DATA_VALUE)) ?? new Uint8Array()
}

type Registers = ReturnType<typeof registers>

/** A question of a rule; undefined: no question, but something that is done. */
function ask(name: string, its: readonly Attribute[], file: Registers, packet: Packet): Answer | undefined {
  switch (name) {
    case "meta":
      file.load(number(its, nf.NFTA_META_DREG), meta(number(its, nf.NFTA_META_KEY), packet))
      return undefined
    case "ct":
      file.load(number(its, nf.NFTA_CT_DREG), conntrack(number(its, nf.NFTA_CT_KEY), packet))
      return undefined
    case "payload": {
      const [offset, length] = [number(its, nf.NFTA_PAYLOAD_OFFSET), number(its, nf.NFTA_PAYLOAD_LEN)]
      const base = number(its, nf.NFTA_PAYLOAD_BASE) === nf.NFT_PAYLOAD_NETWORK_HEADER ? header(packet) : []
      // What fills up the last word is zero.
      file.load(
        number(its, nf.NFTA_PAYLOAD_DREG),
        Array.from({ length: wordsOf(length) }, (_, i) => (i < length ? (base[offset + i] ?? null) : 0)),
      )
      return undefined
    }
    case "bitwise": {
      const length = number(its, nf.NFTA_BITWISE_LEN)
      const [mask, xor] = [data(its, nf.NFTA_BITWISE_MASK), data(its, nf.NFTA_BITWISE_XOR)]
      const isBoolean = number(its, nf.NFTA_BITWISE_OP) === 0
      const changed = file.read(number(its, nf.NFTA_BITWISE_SREG), length).map((byte, i) => {
        // What is masked out is known, whatever it was.
        if (isBoolean && mask[i] === 0) return xor[i] ?? 0
        return byte === null || !isBoolean ? null : (byte & (mask[i] ?? 0)) ^ (xor[i] ?? 0)
      })
      file.load(number(its, nf.NFTA_BITWISE_DREG), changed)
      return undefined
    }
    case "cmp": {
      const value = data(its, nf.NFTA_CMP_DATA)
      const order = compare(file.read(number(its, nf.NFTA_CMP_SREG), value.length), value)
      return order === null ? null : (OPERATORS[number(its, nf.NFTA_CMP_OP)]?.(order) ?? null)
    }
    case "range": {
      const [low, high] = [data(its, nf.NFTA_RANGE_FROM_DATA), data(its, nf.NFTA_RANGE_TO_DATA)]
      const value = file.read(number(its, nf.NFTA_RANGE_SREG), low.length)
      const [above, below] = [compare(value, low), compare(value, high)]
      if (above === null || below === null) return null
      return (above >= 0 && below <= 0) === (number(its, nf.NFTA_RANGE_OP) === nf.NFT_RANGE_EQ)
    }
    case "match": {
      const match = find(its, nf.NFTA_MATCH_NAME)
      const info = find(its, nf.NFTA_MATCH_INFO)
      return match && info ? xtMatches(readString(match), info, packet) : null
    }
    case "counter":
    case "log":
    case "notrack":
    case "objref":
      return undefined
    default:
      // limit, quota, fib, exthdr, socket and others: they ask what is not known, or load it.
      return null
  }
}

/** What a rule does with a packet, given its NFTA_RULE_EXPRESSIONS. One that asks what is not known means another packet. */
export function judge(expressions: Uint8Array, packet: Packet, sets: Sets): Verdict {
  const file = registers()
  let certain = true
  const found = (verdict: Verdict) => (certain ? verdict : null)
  for (const { data: expression } of decodeAttributes(expressions)) {
    const attributes = decodeAttributes(expression)
    const [nameOf, inner] = [find(attributes, nf.NFTA_EXPR_NAME), find(attributes, nf.NFTA_EXPR_DATA)]
    if (nameOf === undefined) continue
    const [name, its] = [readString(nameOf), inner === undefined ? [] : decodeAttributes(inner)]
    if (name === "reject") return found({ kind: "drop" })
    // What a program decides.
    if (name === "queue") return found({ kind: "accept" })
    if (name === "target") {
      const target = find(its, nf.NFTA_TARGET_NAME)
      if (target && readString(target) === "REJECT") return found({ kind: "drop" })
      continue
    }
    if (name === "immediate") {
      const value = find(its, nf.NFTA_IMMEDIATE_DATA)
      const register = number(its, nf.NFTA_IMMEDIATE_DREG)
      if (register === nf.NFT_REG_VERDICT) return found(value === undefined ? null : verdictIn(value))
      file.load(register, [...data(its, nf.NFTA_IMMEDIATE_DATA)])
      continue
    }
    if (name === "lookup") {
      const set = find(its, nf.NFTA_LOOKUP_SET)
      const known = set === undefined ? { elements: [] } : sets(readString(set))
      const length = known.elements.find(isOfValues)?.key.length ?? 0
      const element = lookUp(known, file.read(number(its, nf.NFTA_LOOKUP_SREG), length))
      const inverted = (number(its, nf.NFTA_LOOKUP_FLAGS) & nf.NFT_LOOKUP_F_INV) !== 0
      if (element === undefined) certain = false
      else if ((element !== null) === inverted) return null
      const into = find(its, nf.NFTA_LOOKUP_DREG)
      if (into === undefined || !element) continue
      if (readBe32(into) === nf.NFT_REG_VERDICT) return found(element.verdict)
      file.load(readBe32(into), [...(element.data ?? [])])
      continue
    }
    const answer = ask(name, its, file, packet)
    if (answer === false) return null
    if (answer === null) certain = false
  }
  return null
}
