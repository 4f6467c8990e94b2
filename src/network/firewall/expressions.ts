/** What rules of nf_tables are made of: the expressions of linux/netfilter/nf_tables.h, as nft(8) sends them. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { type Attribute, be32, bytes, nested, text, u8 } from "../../../ffi/netlink/attributes.ts"

/** One expression, as an attribute of a list. */
export type Expression = Attribute

const expression = (name: string, ...attributes: Attribute[]): Expression =>
  nested(nf.NFTA_LIST_ELEM, [text(nf.NFTA_EXPR_NAME, name), nested(nf.NFTA_EXPR_DATA, attributes)])

const value = (type: number, data: Uint8Array): Attribute => nested(type, [bytes(nf.NFTA_DATA_VALUE, data)])

/** A number of 32 bits in the machine's byte order, as the kernel has it in a register. */
export const word = (number: number): Uint8Array => new Uint8Array(Uint32Array.of(number).buffer)

/** Loads what is known of a packet: NFT_META_*. */
export const meta = (key: number, register: number): Expression =>
  expression("meta", be32(nf.NFTA_META_KEY, key), be32(nf.NFTA_META_DREG, register))

/** Loads bytes of a header: NFT_PAYLOAD_*_HEADER. */
export const payload = (base: number, offset: number, length: number, register: number): Expression =>
  expression(
    "payload",
    be32(nf.NFTA_PAYLOAD_DREG, register),
    be32(nf.NFTA_PAYLOAD_BASE, base),
    be32(nf.NFTA_PAYLOAD_OFFSET, offset),
    be32(nf.NFTA_PAYLOAD_LEN, length),
  )

/** Goes on only where the register has these bytes, or with NFT_CMP_NEQ has not. */
export const compare = (register: number, operation: number, data: Uint8Array): Expression =>
  expression("cmp", be32(nf.NFTA_CMP_SREG, register), be32(nf.NFTA_CMP_OP, operation), value(nf.NFTA_CMP_DATA, data))

/** Goes on only where the register is in the set, or with `inverted` is not. */
export const inSet = (set: string, register: number, inverted = false): Expression =>
  expression(
    "lookup",
    text(nf.NFTA_LOOKUP_SET, set),
    be32(nf.NFTA_LOOKUP_SREG, register),
    ...(inverted ? [be32(nf.NFTA_LOOKUP_FLAGS, nf.NFT_LOOKUP_F_INV)] : []),
  )

/** Goes on only where the register is a key of the map, whose value is loaded. */
export const inMap = (map: string, register: number, into: number): Expression =>
  expression(
    "lookup",
    text(nf.NFTA_LOOKUP_SET, map),
    be32(nf.NFTA_LOOKUP_SREG, register),
    be32(nf.NFTA_LOOKUP_DREG, into),
  )

/** Leaves the bits of the mask in a register. */
export const mask = (register: number, bits: Uint8Array): Expression =>
  expression(
    "bitwise",
    be32(nf.NFTA_BITWISE_SREG, register),
    be32(nf.NFTA_BITWISE_DREG, register),
    be32(nf.NFTA_BITWISE_LEN, bits.length),
    value(nf.NFTA_BITWISE_MASK, bits),
    value(nf.NFTA_BITWISE_XOR, new Uint8Array(bits.length)),
  )

/** Brings 16 bits of a register into network byte order. */
export const hton16 = (register: number): Expression =>
  expression(
    "byteorder",
    be32(nf.NFTA_BYTEORDER_SREG, register),
    be32(nf.NFTA_BYTEORDER_DREG, register),
    be32(nf.NFTA_BYTEORDER_OP, nf.NFT_BYTEORDER_HTON),
    be32(nf.NFTA_BYTEORDER_LEN, 2),
    be32(nf.NFTA_BYTEORDER_SIZE, 2),
  )

/** Loads what conntrack knows of a connection: NFT_CT_*. */
export const conntrack = (key: number, register: number): Expression =>
  expression("ct", be32(nf.NFTA_CT_KEY, key), be32(nf.NFTA_CT_DREG, register))

/** Looks the packet up in the routing table: NFTA_FIB_F_* and NFT_FIB_RESULT_*. */
export const fib = (flags: number, result: number, register: number): Expression =>
  expression("fib", be32(nf.NFTA_FIB_FLAGS, flags), be32(nf.NFTA_FIB_RESULT, result), be32(nf.NFTA_FIB_DREG, register))

/** Loads what is known of the packet's route: NFT_RT_*. */
export const route = (key: number, register: number): Expression =>
  expression("rt", be32(nf.NFTA_RT_KEY, key), be32(nf.NFTA_RT_DREG, register))

/** Writes a register into a TCP option; a packet without it stays as it is. */
export const writeTcpOption = (option: number, offset: number, length: number, register: number): Expression =>
  expression(
    "exthdr",
    be32(nf.NFTA_EXTHDR_SREG, register),
    u8(nf.NFTA_EXTHDR_TYPE, option),
    be32(nf.NFTA_EXTHDR_OFFSET, offset),
    be32(nf.NFTA_EXTHDR_LEN, length),
    be32(nf.NFTA_EXTHDR_OP, nf.NFT_EXTHDR_OP_TCPOPT),
  )

/** Changes the destination of the connection to an address and a port that are in registers; `family` is NFPROTO_*. */
export const dnat = (family: number, address: number, port: number): Expression =>
  expression(
    "nat",
    be32(nf.NFTA_NAT_TYPE, nf.NFT_NAT_DNAT),
    be32(nf.NFTA_NAT_FAMILY, family),
    be32(nf.NFTA_NAT_REG_ADDR_MIN, address),
    be32(nf.NFTA_NAT_REG_PROTO_MIN, port),
  )

/** Changes the source of the connection to the address of the link that it leaves by. */
export const masquerade = (): Expression => expression("masq")

/** Ends the rule: NF_ACCEPT, NF_DROP, NFT_RETURN, or NFT_JUMP to a chain. */
export const verdict = (code: number, chain?: string): Expression =>
  expression(
    "immediate",
    be32(nf.NFTA_IMMEDIATE_DREG, nf.NFT_REG_VERDICT),
    nested(nf.NFTA_IMMEDIATE_DATA, [
      nested(nf.NFTA_DATA_VERDICT, [
        be32(nf.NFTA_VERDICT_CODE, code),
        ...(chain === undefined ? [] : [text(nf.NFTA_VERDICT_CHAIN, chain)]),
      ]),
    ]),
  )
