/**
 * The rules of iptables-legacy, which are none of nf_tables': read, never changed. getsockopt(2) of linux/netfilter_ipv4/
 * ip_tables.h and linux/netfilter_ipv6/ip6_tables.h, whose structures are of one shape but for the size of addresses.
 */
import { callResult } from "../../../ffi/call.ts"
import { struct } from "../../../ffi/calls.ts"
import {
  IP6T_SO_GET_ENTRIES,
  IP6T_SO_GET_INFO,
  IPT_SO_GET_ENTRIES,
  IPT_SO_GET_INFO,
} from "../../../ffi/constants/ip_tables.ts"
import { NF_INET_FORWARD } from "../../../ffi/constants/nf_tables.ts"
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_RAW,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from "../../../ffi/constants/socket.ts"
import { close, tryReadText } from "../../../ffi/fs.ts"
import { addressOf } from "../../../ffi/prepared.ts"
import { type ForeignFirewall, toolOf } from "./foreign.ts"
import { linkName, type Packet, PROTOCOL_TCP, xtMatches } from "./packet.ts"

// struct ipt_getinfo: a name, valid_hooks, hook_entry[5], underflow[5], num_entries, size.
const INFO = { size: 84, entry: 36, underflow: 56, total: 80 } as const
// struct ipt_get_entries: a name, the size of what follows.
const ENTRIES = { size: 32, first: 40 } as const

const VERSIONS = [
  {
    names: "/proc/net/ip_tables_names",
    family: "ip",
    domain: AF_INET,
    level: IPPROTO_IP,
    info: IPT_SO_GET_INFO,
    entries: IPT_SO_GET_ENTRIES,
  },
  {
    names: "/proc/net/ip6_tables_names",
    family: "ip6",
    domain: AF_INET6,
    level: IPPROTO_IPV6,
    info: IP6T_SO_GET_INFO,
    entries: IP6T_SO_GET_ENTRIES,
  },
] as const

/** The table "filter": where its rules for forwarded packets begin, their policy, and all rules; null where it cannot be read. */
function readFilter({ domain, level, info, entries }: (typeof VERSIONS)[number]) {
  const fd = callResult("socket", domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)
  if (fd < 0) return null
  const read = (option: number, bytes: Uint8Array) =>
    callResult("getsockopt", fd, level, option, addressOf(bytes), struct([4, bytes.length]))
  try {
    const about = new Uint8Array(INFO.size)
    about.set(new TextEncoder().encode("filter"))
    if (read(info, about) < 0) return null
    const view = new DataView(about.buffer)
    const size = view.getUint32(INFO.total, true)
    const all = new Uint8Array(ENTRIES.first + size)
    all.set(new TextEncoder().encode("filter"))
    new DataView(all.buffer).setUint32(ENTRIES.size, size, true)
    // EAGAIN: somebody has changed it since.
    if (read(entries, all) < 0) return null
    const [start, policy] = [INFO.entry, INFO.underflow].map((at) => view.getUint32(at + 4 * NF_INET_FORWARD, true))
    const bytes = all.subarray(ENTRIES.first)
    return { start: start ?? 0, policy: policy ?? 0, bytes, view: new DataView(all.buffer, ENTRIES.first) }
  } finally {
    close(fd)
  }
}

/** Where a number is in struct ipt_entry or ip6t_entry: of struct ipt_ip or ip6t_ip6, and behind it. */
const SHAPES = {
  ip: { size: 4, links: 16, protocol: 80, flags: 82, inverted: 83, goto: 0x02, offsets: 88, rules: 112 },
  ip6: { size: 16, links: 64, protocol: 128, flags: 131, inverted: 132, goto: 0x04, offsets: 140, rules: 168 },
} as const
// IPT_INV_* and IP6T_INV_*.
const INVERTED = { from: 0x01, to: 0x02, source: 0x08, destination: 0x10, protocol: 0x40 } as const
const IFNAMSIZ = 16
// struct xt_entry_match and xt_entry_target: u16 size, a name of 29 bytes, the revision; then what is its own.
const NAME = { at: 2, size: 29 } as const
const OWN = 32
// Standard targets: a verdict is written as what is one less than its negative; XT_RETURN is one of a value of its own.
const [XT_ACCEPT, XT_DROP, XT_RETURN] = [-2, -1, -5]
const DEEPEST = 64

interface Filter {
  family: "ip" | "ip6"
  bytes: Uint8Array
  view: DataView
  /** Where the rules of FORWARD begin, and where its policy is: a rule for all. */
  start: number
  policy: number
}

/** Whether bytes are as those at an offset, where those of the mask are set. Of what is not known: if none is asked for. */
function isMasked(
  own: Uint8Array | null,
  bytes: Uint8Array,
  wanted: number,
  mask: number,
  length: number,
  inverted: boolean,
): boolean {
  let equal = true
  for (let i = 0; i < length; i++) {
    const bits = bytes[mask + i] ?? 0
    if (bits === 0) continue
    if (own === null) return false
    if (((own[i] ?? 0) ^ (bytes[wanted + i] ?? 0)) & bits) equal = false
  }
  return equal !== inverted
}

function textAt(bytes: Uint8Array, at: number): string {
  const text = bytes.subarray(at, at + NAME.size)
  return new TextDecoder("latin1").decode(text.subarray(0, text.indexOf(0)))
}

/** A packet as rules of a family ask about it. */
interface Asked {
  packet: Packet
  from: Uint8Array | null
  to: Uint8Array | null
}

/** Whether the rule at an offset means a packet, as far as is known: one that asks what is not known means another. */
function means({ family, bytes, view }: Filter, at: number, target: number, { packet, from, to }: Asked): boolean {
  const { size, links, protocol, inverted, rules } = SHAPES[family]
  const flags = bytes[at + inverted] ?? 0
  const wanted = bytes[at + protocol] ?? 0
  const masked = (own: Uint8Array | null, offset: number, length: number, mask: number, inversion: number) =>
    isMasked(own, bytes, at + offset, at + mask, length, (flags & inversion) !== 0)
  if (
    !masked(packet.from.address, 0, size, 2 * size, INVERTED.source) ||
    !masked(packet.to.address, size, size, 3 * size, INVERTED.destination) ||
    !masked(from, links, IFNAMSIZ, links + 32, INVERTED.from) ||
    !masked(to, links + 16, IFNAMSIZ, links + 48, INVERTED.to) ||
    (wanted === 0 || wanted === PROTOCOL_TCP) === ((flags & INVERTED.protocol) !== 0)
  )
    return false
  for (let match = at + rules; match < target; ) {
    const length = view.getUint16(match, true)
    if (length < OWN) return false
    const name = textAt(bytes, match + NAME.at)
    if (xtMatches(name, bytes.subarray(match + OWN, match + length), packet) !== true) return false
    match += length
  }
  return true
}

/** What becomes of a packet from a rule on; null: the chain is through. */
function passThrough(filter: Filter, start: number, asked: Asked, depth = 0): "accept" | "drop" | null {
  const { family, bytes, view } = filter
  const { offsets, flags, goto } = SHAPES[family]
  for (let at = start; at + SHAPES[family].rules <= bytes.length; ) {
    const [target, next] = [at + view.getUint16(at + offsets, true), at + view.getUint16(at + offsets + 2, true)]
    if (next <= at || target + OWN > bytes.length) return null
    const isMeant = means(filter, at, target, asked)
    const goesTo = ((bytes[at + flags] ?? 0) & goto) !== 0
    at = next
    if (!isMeant) continue
    const name = textAt(bytes, target + NAME.at)
    const verdict = name === "" && target + OWN + 4 <= bytes.length ? view.getInt32(target + OWN, true) : null
    if (name === "REJECT") return "drop"
    if (name === "ERROR") return null
    if (verdict === null || verdict === next) continue
    if (verdict === XT_ACCEPT) return "accept"
    if (verdict === XT_DROP) return "drop"
    if (verdict === XT_RETURN) return null
    if (verdict < 0 || depth > DEEPEST) continue
    const found = passThrough(filter, verdict, asked, depth + 1)
    if (found !== null || goesTo) return found
  }
  return null
}

/**
 * The chain FORWARD of iptables-legacy and ip6tables-legacy. Asks only for a table that is there: to ask would make it.
 */
export function legacyFirewall(): ForeignFirewall {
  const filters = VERSIONS.flatMap((version): Filter[] => {
    const names = (tryReadText(version.names) ?? "").split("\n")
    const filter = names.includes("filter") ? readFilter(version) : null
    return filter === null ? [] : [{ family: version.family, ...filter }]
  })
  return {
    drops(packet) {
      const filter = filters.find(({ family }) => family === packet.family)
      if (!filter) return null
      // One that went on into another chain comes back to no rule: the policy is asked.
      const asked = { packet, from: linkName(packet.from), to: linkName(packet.to) }
      const verdict = passThrough(filter, filter.start, asked) ?? passThrough(filter, filter.policy, asked)
      if (verdict !== "drop") return null
      const { family, bytes } = filter
      const text = new TextDecoder("latin1").decode(bytes)
      const chain = { family, table: "filter", name: "FORWARD" }
      const known = ["DOCKER-USER", "ufw-user-forward", "ufw6-user-forward"].filter((name) => text.includes(name))
      return { tool: toolOf(chain, known), family, table: chain.table, chain: chain.name }
    },
  }
}
