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
import { NF_DROP, NF_INET_FORWARD } from "../../../ffi/constants/nf_tables.ts"
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
import type { ForeignChain } from "./foreign.ts"

// struct ipt_getinfo: a name, valid_hooks, hook_entry[5], underflow[5], num_entries, size.
const INFO = { size: 84, underflow: 56, total: 80 } as const
// struct ipt_get_entries: a name, the size of what follows.
const ENTRIES = { size: 32, first: 40 } as const
// struct xt_standard_target: struct xt_entry_target, the verdict.
const VERDICT = 32

const VERSIONS = [
  {
    names: "/proc/net/ip_tables_names",
    family: "ip",
    domain: AF_INET,
    level: IPPROTO_IP,
    info: IPT_SO_GET_INFO,
    entries: IPT_SO_GET_ENTRIES,
    // Of struct ipt_entry, after struct ipt_ip and nfcache.
    targetOffset: 88,
  },
  {
    names: "/proc/net/ip6_tables_names",
    family: "ip6",
    domain: AF_INET6,
    level: IPPROTO_IPV6,
    info: IP6T_SO_GET_INFO,
    entries: IP6T_SO_GET_ENTRIES,
    // Of struct ip6t_entry, after struct ip6t_ip6 and nfcache.
    targetOffset: 140,
  },
] as const

/** The table "filter": at which offset the policy of forwarded packets is, and all entries; null where it cannot be read. */
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
    return { policyAt: view.getUint32(INFO.underflow + 4 * NF_INET_FORWARD, true), bytes: all.subarray(ENTRIES.first) }
  } finally {
    close(fd)
  }
}

function dropsAt(bytes: Uint8Array, at: number, targetOffset: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (at + targetOffset + 2 > bytes.length) return false
  const verdict = at + view.getUint16(at + targetOffset, true) + VERDICT
  // A verdict that ends is written as what is one less than its negative.
  return verdict + 4 <= bytes.length && view.getInt32(verdict, true) === -NF_DROP - 1
}

/**
 * The chain FORWARD of iptables-legacy and ip6tables-legacy, and the chains of docker and ufw that are known by name, as
 * allChains tells of those of nf_tables. Asks only for a table that is there: to ask would make it.
 */
export function legacyChains(): ForeignChain[] {
  return VERSIONS.flatMap((version): ForeignChain[] => {
    const names = (tryReadText(version.names) ?? "").split("\n")
    const filter = names.includes("filter") ? readFilter(version) : null
    if (filter === null) return []
    const { bytes, policyAt } = filter
    const text = new TextDecoder("latin1").decode(bytes)
    const base = { family: version.family, table: "filter" }
    const drops = dropsAt(bytes, policyAt, version.targetOffset)
    return [
      { ...base, name: "FORWARD", hook: NF_INET_FORWARD, drops },
      ...["DOCKER-USER", "ufw-user-forward", "ufw6-user-forward"]
        .filter((name) => text.includes(name))
        .map((name) => ({ ...base, name, hook: null, drops: false })),
    ]
  })
}
