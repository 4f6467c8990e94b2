/** What rules of nf_tables see of a packet, byte by byte as far as it is known, and the registers that they load it into. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import type { KnownElement } from "./answers.ts"
import { once } from "./once.ts"
import { linkName, type Packet, PROTOCOL_TCP, STATE_BITS } from "./packet.ts"

/** A set or map. */
export interface KnownSet {
  /** Of a large one only some. */
  readonly elements: readonly KnownElement[]
  /** Which of a large one's is for a value. */
  readonly get?: (value: Uint8Array) => KnownElement | null
}

/** Those of the rule's table. */
export type Sets = (name: string) => KnownSet

/** Bytes, or UNKNOWN. */
export type Known = ArrayLike<number>

/** A packet before the rules of a table. */
export interface Machine {
  readonly packet: Packet
  readonly sets: Sets
  readonly header: Known
  meta(key: number): Known
  conntrack(key: number): Known
  /** Forgets what was loaded. */
  reset(): void
  /** Puts bytes of `value` from `offset` on into a register, and zeros behind them up to a word. */
  load(register: number, value: Known, offset?: number, length?: number): void
  read(register: number, length: number): Known
  /** Less than 0, 0 or more, as memcmp(3) has it; null where it is not known. */
  compare(register: number, other: Uint8Array): number | null
}

export const UNKNOWN = -1

const REGISTERS = 16
const NAMES = { ip: nf.NFPROTO_IPV4, ip6: nf.NFPROTO_IPV6 } as const
const HEADER = {
  ip: { size: 20, source: 12, destination: 16, protocol: 9, ethertype: [0x08, 0x00] },
  ip6: { size: 40, source: 8, destination: 24, protocol: 6, ethertype: [0x86, 0xdd] },
} as const

const unknown = (length: number): Known => new Int16Array(length).fill(UNKNOWN)
const ANY_WORD = unknown(4)
const ANY_NAME = unknown(16)
const word = (value: number): Known => new Uint8Array(Uint32Array.of(value).buffer)

/** The network header. */
function header({ family, from, to }: Packet): Known {
  const { size, source, destination, protocol } = HEADER[family]
  const bytes = new Int16Array(size).fill(UNKNOWN)
  bytes.set(from.address ?? [], source)
  bytes.set(to.address ?? [], destination)
  bytes[protocol] = PROTOCOL_TCP
  return bytes
}

function meta(key: number, { from, to, family }: Packet): Known {
  switch (key) {
    case nf.NFT_META_IIFNAME:
      return linkName(from) ?? ANY_NAME
    case nf.NFT_META_OIFNAME:
      return linkName(to) ?? ANY_NAME
    case nf.NFT_META_IIF:
      return from.link ? word(from.link.index) : ANY_WORD
    case nf.NFT_META_OIF:
      return to.link ? word(to.link.index) : ANY_WORD
    case nf.NFT_META_NFPROTO:
      return [NAMES[family], 0, 0, 0]
    case nf.NFT_META_PROTOCOL:
      return [...HEADER[family].ethertype, 0, 0]
    case nf.NFT_META_L4PROTO:
      return [PROTOCOL_TCP, 0, 0, 0]
    default:
      return ANY_WORD
  }
}

function conntrack(key: number, { state, answers, led }: Packet): Known {
  if (key === nf.NFT_CT_STATE) return word(STATE_BITS[state])
  if (key === nf.NFT_CT_DIRECTION) return [answers ? 1 : 0, 0, 0, 0]
  // Which others are set depends on how far its connection has come.
  if (key === nf.NFT_CT_STATUS) return [led ? nf.IPS_DST_NAT : 0, UNKNOWN, UNKNOWN, UNKNOWN]
  return ANY_WORD
}

// Those of 16 bytes come from one on, those of four lie over them.
const at = (register: number) => 4 * (register >= nf.NFT_REG32_00 ? register - nf.NFT_REG32_00 : 4 * (register - 1))

/** Puts a packet before rules. */
export function machineFor(packet: Packet, sets: Sets): Machine {
  const bytes = new Int16Array(REGISTERS * 4).fill(UNKNOWN)
  return {
    packet,
    sets,
    header: header(packet),
    meta: once((key) => meta(key, packet)),
    conntrack: once((key) => conntrack(key, packet)),
    reset: () => bytes.fill(UNKNOWN),
    load(register, value, offset = 0, length = value.length) {
      const start = at(register)
      for (let i = 0; i < length; i++) bytes[start + i] = value[offset + i] ?? UNKNOWN
      for (let i = length; i & 3; i++) bytes[start + i] = 0
    },
    read: (register, length) => bytes.slice(at(register), at(register) + length),
    compare(register, other) {
      const start = at(register)
      for (let i = 0; i < other.length; i++) {
        const own = bytes[start + i] ?? UNKNOWN
        if (own === UNKNOWN) return null
        const difference = own - (other[i] ?? 0)
        if (difference !== 0) return difference
      }
      return 0
    },
  }
}
