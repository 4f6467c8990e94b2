/** What nf_tables answers. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { BogusAnswer, decodeAttributes, find, readBe32, readString } from "../../../ffi/netlink/attributes.ts"
import { attributesOf, type Received } from "../../../ffi/netlink/messages.ts"
import type { Element } from "./requests.ts"

const NFGENMSG = 4

/** An element as the kernel has it. */
export interface KnownElement {
  /** Empty of the one that stands for all that no other does: nft's `*`, since Linux 5.13. */
  readonly key: Uint8Array
  readonly data: Uint8Array | null
  readonly comment: string | null
  readonly end: boolean
  /** It has an end of its own: of a set whose ranges are of several parts. */
  readonly ranged: boolean
  /** What a map of verdicts has; null where there is none, or it goes on with the next rule. */
  readonly verdict: Verdict
}

function valueIn(data: Uint8Array | undefined): Uint8Array | null {
  return data === undefined ? null : (find(decodeAttributes(data), nf.NFTA_DATA_VALUE)?.slice() ?? null)
}

/** What becomes of a packet; null: the next rule is asked. */
export type Verdict = { kind: "accept" | "drop" | "return" } | { kind: "jump" | "goto"; chain: string } | null

/** The verdict in attributes of NFTA_DATA_*. */
export function verdictIn(data: Uint8Array): Verdict {
  const verdict = find(decodeAttributes(data), nf.NFTA_DATA_VERDICT)
  const attributes = verdict === undefined ? [] : decodeAttributes(verdict)
  const [code, chain] = [find(attributes, nf.NFTA_VERDICT_CODE), find(attributes, nf.NFTA_VERDICT_CHAIN)]
  const name = chain === undefined ? "" : readString(chain)
  switch (code === undefined ? nf.NFT_CONTINUE : readBe32(code) | 0) {
    case nf.NF_ACCEPT:
      return { kind: "accept" }
    case nf.NF_DROP:
      return { kind: "drop" }
    case nf.NFT_RETURN:
      return { kind: "return" }
    case nf.NFT_JUMP:
      return { kind: "jump", chain: name }
    case nf.NFT_GOTO:
      return { kind: "goto", chain: name }
    default:
      return null
  }
}

/** The string of a note of type 0, NFTNL_UDATA_SET_ELEM_COMMENT, which nft writes, too. */
function commentOf(notes: Uint8Array | undefined): string | null {
  if (notes === undefined) return null
  for (let at = 0; at + 2 <= notes.length; at += 2 + (notes[at + 1] ?? 0))
    if (notes[at] === 0) return readString(notes.subarray(at + 2, at + 2 + (notes[at + 1] ?? 0)))
  return null
}

function decodeElement(from: Uint8Array): KnownElement {
  const attributes = decodeAttributes(from)
  const key = valueIn(find(attributes, nf.NFTA_SET_ELEM_KEY))
  const flags = find(attributes, nf.NFTA_SET_ELEM_FLAGS)
  const value = find(attributes, nf.NFTA_SET_ELEM_DATA)
  const has = (flag: number) => flags !== undefined && (readBe32(flags) & flag) !== 0
  if (key === null && !has(nf.NFT_SET_ELEM_CATCHALL)) throw new BogusAnswer("nf_tables: an element without a key")
  return {
    key: key ?? new Uint8Array(),
    data: valueIn(value),
    comment: commentOf(find(attributes, nf.NFTA_SET_ELEM_USERDATA)),
    ranged: find(attributes, nf.NFTA_SET_ELEM_KEY_END) !== undefined,
    verdict: value === undefined ? null : verdictIn(value),
    end: has(nf.NFT_SET_ELEM_INTERVAL_END),
  }
}

/** The elements in the messages that a set's were dumped in, or one was asked for. Throws BogusAnswer. */
export function decodeElements(messages: readonly Received[]): KnownElement[] {
  return messages.flatMap((message) => {
    const list = find(attributesOf(message, NFGENMSG), nf.NFTA_SET_ELEM_LIST_ELEMENTS)
    return list === undefined ? [] : decodeAttributes(list).map(({ data }) => decodeElement(data))
  })
}

/** An element that is there, to be removed, or to be made again. */
export const asElement = ({ key, data, comment, end }: KnownElement): Element => ({
  key,
  text: key.toHex(),
  ...(data ? { data } : {}),
  ...(comment === null ? {} : { comment }),
  ...(end ? { end } : {}),
})

/** The generation of the rules. Throws BogusAnswer. */
export function decodeGeneration(message: Received): number {
  const generation = find(attributesOf(message, NFGENMSG), nf.NFTA_GEN_ID)
  if (generation === undefined) throw new BogusAnswer("nf_tables: no generation in the answer")
  return readBe32(generation)
}
