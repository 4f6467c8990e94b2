/** Netlink messages: struct nlmsghdr of linux/netlink.h, netlink(7). */
import { type Attribute, align4, attributesSize, BogusAnswer, decodeAttributes, writeAttributes } from "./attributes.ts"

/** A message to be sent. The sequence number is given when it is. */
export interface Message {
  readonly type: number
  /** NLM_F_*, with NLM_F_ACK where an answer must come. */
  readonly flags: number
  /** The structure that stands before the attributes: struct ifinfomsg, struct nfgenmsg, … */
  readonly header: Uint8Array
  readonly attributes: readonly Attribute[]
  /** What it does, for errors: a line of ip(8) or nft(8), say. */
  readonly what: string
}

/** A message that came. */
export interface Received {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** The address of the socket that it is for. */
  readonly port: number
  readonly payload: Uint8Array
}

export const MESSAGE_HEADER = 16

const messageSize = ({ header, attributes }: Message) =>
  MESSAGE_HEADER + align4(header.length) + attributesSize(attributes)

/** Messages one after the other, with consecutive sequence numbers. */
export function encodeMessages(messages: readonly Message[], sequence: number): Uint8Array {
  const into = new Uint8Array(messages.reduce((sum, message) => sum + messageSize(message), 0))
  const view = new DataView(into.buffer)
  let position = 0
  messages.forEach((message, i) => {
    const { type, flags, header, attributes } = message
    view.setUint32(position, messageSize(message), true)
    view.setUint16(position + 4, type, true)
    view.setUint16(position + 6, flags, true)
    view.setUint32(position + 8, sequence + i, true)
    into.set(header, position + MESSAGE_HEADER)
    position = writeAttributes(into, position + MESSAGE_HEADER + align4(header.length), attributes)
  })
  return into
}

/** The messages that fill `from`. Their payloads are views of it. Throws BogusAnswer. */
export function decodeMessages(from: Uint8Array): Received[] {
  const view = new DataView(from.buffer, from.byteOffset, from.length)
  const messages: Received[] = []
  for (let position = 0; position < from.length; ) {
    const left = from.length - position
    const length = left < MESSAGE_HEADER ? 0 : view.getUint32(position, true)
    if (length < MESSAGE_HEADER || length > left)
      throw new BogusAnswer(`netlink message of ${length} bytes at ${position} of ${from.length}`)
    messages.push({
      type: view.getUint16(position + 4, true),
      flags: view.getUint16(position + 6, true),
      sequence: view.getUint32(position + 8, true),
      port: view.getUint32(position + 12, true),
      payload: from.subarray(position + MESSAGE_HEADER, position + length),
    })
    position += align4(length)
  }
  return messages
}

/** The attributes of a message that has a structure of `header` bytes before them. Throws BogusAnswer. */
export function attributesOf({ payload }: Received, header: number): Attribute[] {
  if (payload.length < header)
    throw new BogusAnswer(`netlink payload of ${payload.length} bytes, ${header} are expected`)
  return decodeAttributes(payload, align4(header))
}
