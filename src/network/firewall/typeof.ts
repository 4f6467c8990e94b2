/**
 * What nft(8) notes of a set whose key is more than its types tell, to show it and read it again: NFTNL_UDATA_SET_KEY_TYPEOF. Each
 * note has a type and a length of a byte; numbers are 32 bits in the machine's byte order.
 */

// nftables, include/expression.h, include/proto.h and src/{meta,payload,expression}.c.
const EXPR_PAYLOAD = 7
const EXPR_META = 9
const EXPR_CONCAT = 13
const PROTO_ETHER = 17
const PROTO_UNKNOWN = 0

export const note = (type: number, data: ArrayLike<number>): number[] => [type, data.length, ...Array.from(data)]
const numberNote = (type: number, value: number) => note(type, new Uint8Array(Uint32Array.of(value).buffer))

/** A part of a key: which expression it is, and what it asks for, in nft's order. */
interface KeyPart {
  readonly text: string
  readonly expression: number
  readonly asks: readonly number[]
}

export const IIFNAME: KeyPart = { text: "iifname", expression: EXPR_META, asks: [6] }
export const ETHER_SOURCE: KeyPart = { text: "ether saddr", expression: EXPR_PAYLOAD, asks: [PROTO_ETHER, 2] }
/** Of the header `base` (NFT_PAYLOAD_*_HEADER), in bits. */
export const rawBits = (name: string, base: number, offset: number, length: number): KeyPart => ({
  text: `@${name},${offset},${length}`,
  expression: EXPR_PAYLOAD,
  asks: [PROTO_UNKNOWN, 0, base + 1, offset, length],
})

/** Of a concatenation. */
export function typeofKey(parts: readonly KeyPart[]): { text: string; note: () => number[] } {
  const notes = () =>
    parts.map(({ expression, asks }, i) =>
      note(i, [
        ...numberNote(0, expression),
        ...note(
          1,
          asks.flatMap((value, n) => numberNote(n, value)),
        ),
      ]),
    )
  return {
    text: parts.map(({ text }) => text).join(" . "),
    note: () => [...numberNote(0, EXPR_CONCAT), ...note(1, notes().flat())],
  }
}
