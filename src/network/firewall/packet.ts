/** A packet that is to be forwarded, as far as firewalls ask about it. What is not known answers no question. */
import { XT_CONNTRACK_STATE } from "../../../ffi/constants/nf_tables.ts"

export interface Packet {
  readonly family: "ip" | "ip6"
  readonly from: Side
  readonly to: Side
  /** Of its connection: its first packet, or one that follows. */
  readonly state: "new" | "established"
  /** Whether it goes the way of the first, or answers. */
  readonly answers: boolean
  /** Whether its destination was changed, for a published port. */
  readonly led: boolean
}

/** Where it comes from, or goes to. */
export interface Side {
  readonly link: { readonly name: string; readonly index: number } | null
  /** In network order. */
  readonly address: Uint8Array | null
}

/** An answer to what a rule asks; null: not known, and so no rule is taken to mean it. */
export type Answer = boolean | null

/** TCP: what most ports are published of. */
export const PROTOCOL_TCP = 6

// NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h, which XT_CONNTRACK_STATE_BIT is, too.
export const STATE_BITS = { established: 0x02, new: 0x08 } as const

// struct xt_conntrack_mtinfo1 to 3: match_flags, invert_flags, state_mask.
const CONNTRACK = { flags: 146, invert: 148, state: 150, size: 152 } as const
const XT_CONNTRACK_STATE_DNAT = 0x80

/** iptables' `-m conntrack`, of which only --ctstate is known. */
export function conntrackMatches(info: Uint8Array, packet: Packet): Answer {
  if (info.length < CONNTRACK.size) return null
  const view = new DataView(info.buffer, info.byteOffset, info.length)
  if (view.getUint16(CONNTRACK.flags, true) !== XT_CONNTRACK_STATE) return null
  // Of one byte in the first revision; DNAT is its highest bit.
  const mask = view.getUint16(CONNTRACK.state, true)
  const bits = STATE_BITS[packet.state] | (packet.led ? XT_CONNTRACK_STATE_DNAT : 0)
  return ((mask & bits) !== 0) !== ((view.getUint16(CONNTRACK.invert, true) & XT_CONNTRACK_STATE) !== 0)
}

/** A match of iptables by its name: `info` is its structure of linux/netfilter/xt_NAME.h. */
export function xtMatches(name: string, info: Uint8Array, packet: Packet): Answer {
  switch (name) {
    case "conntrack":
      return conntrackMatches(info, packet)
    case "state": {
      // struct xt_state_info: XT_STATE_BIT is as above.
      const mask = info.length < 4 ? 0 : (info[0] ?? 0)
      return (mask & STATE_BITS[packet.state]) !== 0
    }
    case "comment":
      return true
    default:
      return null
  }
}

const IFNAMSIZ = 16

/** The name of a link as the kernel has it: NUL-padded to 16 bytes. */
export function linkName({ link }: Side): Uint8Array | null {
  if (link === null) return null
  const bytes = new Uint8Array(IFNAMSIZ)
  bytes.set(new TextEncoder().encode(link.name).subarray(0, IFNAMSIZ - 1))
  return bytes
}
