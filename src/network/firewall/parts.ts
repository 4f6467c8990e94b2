/** The parts that the rules of toybox's table are put together of. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { RTN_LOCAL } from "../../../ffi/constants/rtnetlink.ts"
import * as ex from "./expressions.ts"

export type IpFamily = "ip" | "ip6"

/** A part of a rule: the words of nft(8), and what they mean to the kernel, which a start does without while the table is there. */
export interface Part {
  readonly text: string
  readonly expressions: () => readonly ex.Expression[]
  /** Packets of this family alone are meant. */
  readonly family?: IpFamily
  /** nft needs no test of the family: a packet of another passes through. */
  readonly passes?: boolean
}

// One by one: for a pattern the bundle would have to have an object of all the names in nf, which each start would make.
const ONE = nf.NFT_REG_1
const TWO = nf.NFT_REG_2
const FIVE_WORDS_ON = nf.NFT_REG32_00 + 5
const ONE_WORD_ON = nf.NFT_REG32_00 + 1
const TWO_WORDS_ON = nf.NFT_REG32_00 + 2
const NETWORK = nf.NFT_PAYLOAD_NETWORK_HEADER
const TRANSPORT = nf.NFT_PAYLOAD_TRANSPORT_HEADER
export const PROTOCOL = { ip: nf.NFPROTO_IPV4, ip6: nf.NFPROTO_IPV6 } as const
const SIZE = { ip: 4, ip6: 16 } as const
const SADDR = { ip: 12, ip6: 8 } as const
const DADDR = { ip: 16, ip6: 24 } as const
const IPPROTO_TCP = 6
const TCP_FLAGS = { offset: 13, syn: 0x02, synOrRst: 0x06 } as const
const MSS = { option: 2, offset: 2, size: 2 } as const
// linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_BIT(IP_CT_ESTABLISHED) and (IP_CT_RELATED).
const ESTABLISHED_OR_RELATED = 0x02 | 0x04

type Side = "iifname" | "oifname"
const interfaceKey = { iifname: nf.NFT_META_IIFNAME, oifname: nf.NFT_META_OIFNAME } as const

export const link = (side: Side, set: string, inverted = false): Part => ({
  text: `${side} ${inverted ? "!= " : ""}@${set}`,
  expressions: () => [ex.meta(interfaceKey[side], ONE), ex.inSet(set, ONE, inverted)],
})

export const bothLinks = (set: string): Part => ({
  text: `iifname . oifname @${set}`,
  expressions: () => [ex.meta(interfaceKey.iifname, ONE), ex.meta(interfaceKey.oifname, TWO), ex.inSet(set, ONE)],
})

/** 127.0.0.0/8. */
export const loopback4 = (which: "saddr" | "daddr"): Part => ({
  text: `ip ${which} 127.0.0.0/8`,
  family: "ip",
  expressions: () => [
    ex.payload(NETWORK, which === "saddr" ? SADDR.ip : DADDR.ip, 1, ONE),
    ex.compare(ONE, nf.NFT_CMP_EQ, Uint8Array.of(127)),
  ],
})

export const address6 = (which: "saddr" | "daddr", text: string, bytes: Uint8Array): Part => ({
  text: `ip6 ${which} ${text}`,
  family: "ip6",
  expressions: () => [
    ex.payload(NETWORK, which === "saddr" ? SADDR.ip6 : DADDR.ip6, SIZE.ip6, ONE),
    ex.compare(ONE, nf.NFT_CMP_EQ, bytes),
  ],
})

export const sourceIn = (family: IpFamily, set: string): Part => ({
  text: `${family} saddr @${set}`,
  family,
  expressions: () => [ex.payload(NETWORK, SADDR[family], SIZE[family], ONE), ex.inSet(set, ONE)],
})

/** The way back to the source would leave by another link. */
export const spoofed: Part = {
  text: "fib saddr . iif oif 0",
  expressions: () => [
    ex.fib(nf.NFTA_FIB_F_SADDR | nf.NFTA_FIB_F_IIF, nf.NFT_FIB_RESULT_OIF, ONE),
    ex.compare(ONE, nf.NFT_CMP_EQ, ex.word(0)),
  ],
}

export const notToThisHost: Part = {
  text: "fib daddr type != local",
  expressions: () => [
    ex.fib(nf.NFTA_FIB_F_DADDR, nf.NFT_FIB_RESULT_ADDRTYPE, ONE),
    ex.compare(ONE, nf.NFT_CMP_NEQ, ex.word(RTN_LOCAL)),
  ],
}

/** To where the map says for any address of this host. */
export const dnatAny = (family: IpFamily, map: string): Part => ({
  text: `dnat ${family} to meta l4proto . th dport map @${map}`,
  family,
  passes: true,
  expressions: () => [
    ex.meta(nf.NFT_META_L4PROTO, ONE),
    ex.payload(TRANSPORT, 2, 2, ONE_WORD_ON),
    ex.inMap(map, ONE, ONE),
    ex.dnat(PROTOCOL[family], ONE, family === "ip" ? ONE_WORD_ON : TWO),
  ],
})

/** To where the map says for this one address of this host. */
export const dnatOne = (family: IpFamily, map: string): Part => ({
  text: `dnat ${family} to ${family} daddr . meta l4proto . th dport map @${map}`,
  family,
  expressions: () => [
    ex.payload(NETWORK, DADDR[family], SIZE[family], ONE),
    ex.meta(nf.NFT_META_L4PROTO, family === "ip" ? ONE_WORD_ON : TWO),
    ex.payload(TRANSPORT, 2, 2, family === "ip" ? TWO_WORDS_ON : FIVE_WORDS_ON),
    ex.inMap(map, ONE, ONE),
    ex.dnat(PROTOCOL[family], ONE, family === "ip" ? ONE_WORD_ON : TWO),
  ],
})

/** To a port that a process of toybox's serves. */
export const forwardedPort: Part = {
  text: "meta l4proto . th dport @forwarded",
  expressions: () => [
    ex.meta(nf.NFT_META_L4PROTO, ONE),
    ex.payload(TRANSPORT, 2, 2, ONE_WORD_ON),
    ex.inSet("forwarded", ONE),
  ],
}

const flags = (text: string, key: number, bits: number): Part => ({
  text,
  expressions: () => [ex.conntrack(key, ONE), ex.mask(ONE, ex.word(bits)), ex.compare(ONE, nf.NFT_CMP_NEQ, ex.word(0))],
})
export const known = flags("ct state established,related", nf.NFT_CT_STATE, ESTABLISHED_OR_RELATED)
export const published = flags("ct status dnat", nf.NFT_CT_STATUS, nf.IPS_DST_NAT)

/** The first packet of a TCP connection, or the first that answers. */
export const tcpSyn: Part = {
  text: "tcp flags syn / syn,rst",
  expressions: () => [
    ex.meta(nf.NFT_META_L4PROTO, ONE),
    ex.compare(ONE, nf.NFT_CMP_EQ, Uint8Array.of(IPPROTO_TCP)),
    ex.payload(TRANSPORT, TCP_FLAGS.offset, 1, ONE),
    ex.mask(ONE, Uint8Array.of(TCP_FLAGS.synOrRst)),
    ex.compare(ONE, nf.NFT_CMP_EQ, Uint8Array.of(TCP_FLAGS.syn)),
  ],
}

/** Segments are asked for that are no larger than what the way carries, whatever becomes of ICMP. */
export const clampMss: Part = {
  text: "tcp option maxseg size set rt mtu",
  expressions: () => [
    ex.route(nf.NFT_RT_TCPMSS, ONE),
    ex.hton16(ONE),
    ex.writeTcpOption(MSS.option, MSS.offset, MSS.size, ONE),
  ],
}

export const accept: Part = { text: "accept", expressions: () => [ex.verdict(nf.NF_ACCEPT)] }
export const drop: Part = { text: "drop", expressions: () => [ex.verdict(nf.NF_DROP)] }
export const back: Part = { text: "return", expressions: () => [ex.verdict(nf.NFT_RETURN)] }
export const jump = (chain: string): Part => ({
  text: `jump ${chain}`,
  expressions: () => [ex.verdict(nf.NFT_JUMP, chain)],
})
export const masquerade: Part = { text: "masquerade", expressions: () => [ex.masquerade()] }

export const UNSPECIFIED = new Uint8Array(16)
export const LOOPBACK6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
