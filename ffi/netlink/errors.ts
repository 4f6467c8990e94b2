/** What the kernel says to a request: struct nlmsgerr, with the texts and offsets of extended acks. */
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from "../constants/netlink.ts"
import { SyscallError } from "../errno.ts"
import { type Attribute, align4, BogusAnswer, decodeAttributes, find, readString, readU32 } from "./attributes.ts"
import { MESSAGE_HEADER, type Message, type Received } from "./messages.ts"

/** An ack: errno 0 is success, which may have a text, too. */
export interface Ack {
  readonly errno: number
  readonly text?: string
  /** Where in the request the fault is, in bytes from the start of its nlmsghdr. */
  readonly offset?: number
}

/** Reads an NLMSG_ERROR, or the NLMSG_DONE of a dump, which has no copy of the request. Throws BogusAnswer. */
export function decodeAck({ type, flags, payload }: Received): Ack {
  if (payload.length < 4) throw new BogusAnswer(`netlink ack of ${payload.length} bytes`)
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  const errno = 0 - view.getInt32(0, true)
  if (errno < 0) throw new BogusAnswer(`netlink ack with the error ${-errno}`)
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno }
  let at = 4
  if (type !== NLMSG_DONE) {
    if (payload.length < 4 + MESSAGE_HEADER) throw new BogusAnswer(`netlink ack of ${payload.length} bytes`)
    // A request that was refused comes back whole, unless the socket said that it need not.
    at += flags & NLM_F_CAPPED || errno === 0 ? MESSAGE_HEADER : align4(view.getUint32(4, true))
    if (at > payload.length) throw new BogusAnswer(`netlink ack of ${payload.length} bytes`)
  }
  const attributes = decodeAttributes(payload, at)
  const text = find(attributes, NLMSGERR_ATTR_MSG)
  const offset = find(attributes, NLMSGERR_ATTR_OFFS)
  return {
    errno,
    ...(text === undefined ? {} : { text: readString(text) }),
    ...(offset === undefined ? {} : { offset: readU32(offset) }),
  }
}

/** The types of the attributes, from the outermost, that an offset into a message lies in. */
export function attributePath({ header, attributes }: Message, offset: number): number[] {
  const path: number[] = []
  let at = MESSAGE_HEADER + align4(header.length)
  let level: readonly Attribute[] = attributes
  for (;;) {
    const found = level.find(({ data }) => {
      const end = at + 4 + align4(data.length)
      if (offset < end) return offset >= at
      at = end
      return false
    })
    if (found === undefined) return path
    path.push(found.type)
    at += 4
    if (found.flags === 0 || offset < at) return path
    level = decodeAttributes(found.data)
  }
}

/** A request that the kernel refused. `text` and `offset` are the kernel's own, where it gives them. */
export class NetlinkError extends SyscallError {
  readonly text: string | undefined
  readonly offset: number | undefined
  /** Which of several messages sent at once. */
  readonly index: number

  constructor(message: Message, { errno, text, offset }: Ack, index = 0) {
    super("netlink", errno, message.what)
    this.text = text
    this.offset = offset
    this.index = index
    const place =
      offset === undefined ? [] : [`attribute ${attributePath(message, offset).join(".") || `at ${offset}`}`]
    const said = [...(text ? [text] : []), ...place].join("; ")
    if (said) this.message += ` (${said})`
  }
}
