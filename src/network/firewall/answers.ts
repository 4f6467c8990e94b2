/** What nf_tables answers. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { BogusAnswer, decodeAttributes, find, readBe32, readString } from "../../../ffi/netlink/attributes.ts"
import { attributesOf, type Received } from "../../../ffi/netlink/messages.ts"

const NFGENMSG = 4

/** An element as the kernel has it. */
export interface KnownElement {
  readonly key: Uint8Array
  readonly data: Uint8Array | null
  readonly comment: string | null
  readonly end: boolean
}

function valueIn(data: Uint8Array | undefined): Uint8Array | null {
  return data === undefined ? null : (find(decodeAttributes(data), nf.NFTA_DATA_VALUE)?.slice() ?? null)
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
  if (key === null) throw new BogusAnswer("nf_tables: an element without a key")
  return {
    key,
    data: valueIn(find(attributes, nf.NFTA_SET_ELEM_DATA)),
    comment: commentOf(find(attributes, nf.NFTA_SET_ELEM_USERDATA)),
    end: flags !== undefined && (readBe32(flags) & nf.NFT_SET_ELEM_INTERVAL_END) !== 0,
  }
}

/** The elements in the messages that a set's were dumped in, or one was asked for. Throws BogusAnswer. */
export function decodeElements(messages: readonly Received[]): KnownElement[] {
  return messages.flatMap((message) => {
    const list = find(attributesOf(message, NFGENMSG), nf.NFTA_SET_ELEM_LIST_ELEMENTS)
    return list === undefined ? [] : decodeAttributes(list).map(({ data }) => decodeElement(data))
  })
}

/** The generation of the rules. Throws BogusAnswer. */
export function decodeGeneration(message: Received): number {
  const generation = find(attributesOf(message, NFGENMSG), nf.NFTA_GEN_ID)
  if (generation === undefined) throw new BogusAnswer("nf_tables: no generation in the answer")
  return readBe32(generation)
}
