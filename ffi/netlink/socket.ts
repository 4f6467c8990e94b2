/**
 * Netlink sockets: netlink(7). The kernel answers a request while sendmsg(2) runs, so that whoever reads afterwards finds
 * all that there is; the patience below is for a socket of which that is not true.
 */

import { call, callResult, failure, SCRATCH_SIZE, scratch, takeScratch } from "../call.ts"
import { struct } from "../calls.ts"
import {
  AF_NETLINK,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
  NLMSG_NOOP,
  SOL_NETLINK,
} from "../constants/netlink.ts"
import { POLLIN } from "../constants/poll.ts"
import {
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
} from "../constants/socket.ts"
import { isErrno } from "../errno.ts"
import { close } from "../fs.ts"
import { poll } from "../poll.ts"
import { addressOf } from "../prepared.ts"
import { BogusAnswer } from "./attributes.ts"
import { type Ack, decodeAck, NetlinkError } from "./errors.ts"
import { decodeMessages, encodeMessages, type Message, type Received } from "./messages.ts"

/** An open socket; `sequence` is the number of the next message. */
export interface NetlinkSocket {
  readonly fd: number
  sequence: number
}

const ENOBUFS = -105
const EAGAIN = -11
const EINTR = -4
const PATIENCE = 5000
const DUMP_ATTEMPTS = 100
// Both buffers hold 212,992 bytes unless told; an ack takes some 800 of them.
const ROOMY_SEND = 128 * 1024
const ROOMY_ACKS = 150
const ACK_SIZE = 1024
const SOCKADDR_SIZE = 12

// A struct sockaddr_nl and its length.
const sender = takeScratch(16)
const one = () => struct([4, 1])

/** Opens a socket of a protocol (NETLINK_ROUTE, NETLINK_NETFILTER) in the network namespace of this process. */
export function openNetlink(protocol: number): NetlinkSocket {
  return adoptNetlink(call("socket", AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol))
}

/** A socket that somebody else has made: in a network namespace of his own, say. It belongs to this process from now on. */
export function adoptNetlink(fd: number): NetlinkSocket {
  // What a kernel does not know it does not do: the errors have no texts then, and dumps are not filtered.
  for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
    callResult("setsockopt", fd, SOL_NETLINK, option, one(), 4)
  return { fd, sequence: 1 }
}

export const closeNetlink = ({ fd }: NetlinkSocket): void => close(fd)

function send(socket: NetlinkSocket, messages: readonly Message[]): number {
  const first = socket.sequence
  socket.sequence += messages.length
  const bytes = encodeMessages(messages, first)
  if (bytes.length > ROOMY_SEND)
    callResult("setsockopt", socket.fd, SOL_SOCKET, SO_SNDBUFFORCE, struct([4, bytes.length * 2]), 4)
  if (messages.length > ROOMY_ACKS)
    callResult("setsockopt", socket.fd, SOL_SOCKET, SO_RCVBUFFORCE, struct([4, messages.length * ACK_SIZE]), 4)
  let sent: number
  // Without an address it goes to the kernel.
  do sent = callResult("sendto", socket.fd, addressOf(bytes), bytes.length, 0, null, 0)
  while (sent === EINTR)
  if (sent < 0) throw failure("sendto", sent, messages[0]?.what ?? "")
  return first
}

/** What is in the queue; null where it is empty. Throws SyscallError, BogusAnswer. */
function receive({ fd }: NetlinkSocket): Received[] | null {
  sender.bytes.fill(0, 0, 12)
  new DataView(sender.bytes.buffer, sender.bytes.byteOffset).setUint32(12, SOCKADDR_SIZE, true)
  const flags = MSG_DONTWAIT | MSG_TRUNC
  let size: number
  do size = callResult("recvfrom", fd, scratch.address, SCRATCH_SIZE, flags, sender.address, sender.address + 12)
  while (size === EINTR)
  if (size === EAGAIN) return null
  if (size === ENOBUFS) throw new BogusAnswer("netlink: answers were lost, for want of memory")
  if (size < 0) throw failure("recvfrom", size, fd)
  if (size > SCRATCH_SIZE)
    throw new BogusAnswer(`netlink answer of ${size} bytes, ${SCRATCH_SIZE} at most are expected`)
  if (sender.u32(4) !== 0) return []
  return decodeMessages(scratch.bytes.slice(0, size))
}

/** Waits until there is something to receive. Throws BogusAnswer where nothing comes. */
function awaitAnswer({ fd }: NetlinkSocket, { what }: Message): void {
  const deadline = performance.now() + PATIENCE
  // A signal ends a poll, too.
  while (poll([{ fd, events: POLLIN }], Math.max(0, deadline - performance.now()))[0] === 0) {
    if (performance.now() >= deadline)
      throw new BogusAnswer(`netlink: no answer within ${PATIENCE / 1000} s to: ${what}`)
  }
}

/** What came for messages sent together. */
interface Answers {
  /** By position; only of those that asked for one, or failed. */
  readonly acks: Map<number, Ack>
  /** Messages that are no acks, with the position of the one that they answer. */
  readonly replies: { index: number; message: Received }[]
}

function collect(socket: NetlinkSocket, messages: readonly Message[], first: number): Answers {
  const acks = new Map<number, Ack>()
  const replies: Answers["replies"] = []
  let failed = false
  for (;;) {
    const received = receive(socket)
    if (received === null) {
      // Of a batch that is refused as a whole only the first message is answered.
      const silent = messages.find(({ flags }, i) => flags & NLM_F_ACK && !acks.has(i))
      if (silent === undefined || failed) return { acks, replies }
      awaitAnswer(socket, silent)
      continue
    }
    for (const message of received) {
      const index = message.sequence - first
      // An answer to an earlier request, whose sender did not wait.
      if (index < 0) continue
      if (index >= messages.length) throw new BogusAnswer(`netlink answer to message ${message.sequence}, never sent`)
      if (message.type === NLMSG_ERROR) {
        const ack = decodeAck(message)
        failed ||= ack.errno !== 0
        acks.set(index, ack)
      } else if (message.type >= NLMSG_MIN_TYPE) replies.push({ index, message })
      else if (message.type !== NLMSG_NOOP) throw new BogusAnswer(`netlink answer of type ${message.type}`)
    }
  }
}

/**
 * Sends messages in one go and takes the answers: one for each with NLM_F_ACK, and those that others fail with. NETLINK_ROUTE
 * carries out every one of them whatever becomes of the others; a batch of NETLINK_NETFILTER is all or nothing.
 * Returns what came besides acks (NLM_F_ECHO, gets), and the errors by position.
 */
export function transact(
  socket: NetlinkSocket,
  messages: readonly Message[],
): { replies: { index: number; message: Received }[]; errors: NetlinkError[] } {
  if (messages.length === 0) return { replies: [], errors: [] }
  const { acks, replies } = collect(socket, messages, send(socket, messages))
  const errors = [...acks].flatMap(([index, ack]) => {
    const message = messages[index]
    return ack.errno === 0 || message === undefined ? [] : [new NetlinkError(message, ack, index)]
  })
  return { replies, errors: errors.sort((a, b) => a.index - b.index) }
}

/**
 * As transact, every message with an ack; throws the NetlinkError of the first that failed otherwise than by what is named (ENOENT,
 * EEXIST, …).
 */
export function requestAside(
  socket: NetlinkSocket,
  named: readonly string[],
  ...messages: readonly Message[]
): Received[] {
  const acked = messages.map((message) => ({ ...message, flags: message.flags | NLM_F_REQUEST | NLM_F_ACK }))
  const { replies, errors } = transact(socket, acked)
  const bad = errors.find((error) => !isErrno(error, ...named))
  if (bad) throw bad
  return replies.map(({ message }) => message)
}

/** The same, where nothing may fail. */
export const request = (socket: NetlinkSocket, ...messages: readonly Message[]): Received[] =>
  requestAside(socket, [], ...messages)

/** One attempt at a dump; null where it was interrupted by a change. */
function dumpOnce(socket: NetlinkSocket, message: Message, most: number): Received[] | null {
  const sequence = send(socket, [{ ...message, flags: message.flags | NLM_F_REQUEST | NLM_F_DUMP }])
  const messages: Received[] = []
  let interrupted = false
  for (;;) {
    const received = receive(socket)
    if (received === null) {
      awaitAnswer(socket, message)
      continue
    }
    for (const one of received) {
      if (one.sequence !== sequence) continue
      interrupted ||= (one.flags & NLM_F_DUMP_INTR) !== 0
      if (one.type === NLMSG_DONE || one.type === NLMSG_ERROR) {
        // Before 4.14 or so the end of a dump came without its error.
        const ack = one.payload.length < 4 ? { errno: 0 } : decodeAck(one)
        if (ack.errno !== 0) throw new NetlinkError(message, ack)
        return interrupted ? null : messages
      }
      if (one.type >= NLMSG_MIN_TYPE) messages.push(one)
      else if (one.type !== NLMSG_NOOP) throw new BogusAnswer(`netlink answer of type ${one.type} in a dump`)
    }
    if (messages.length > most) return messages
  }
}

/**
 * All that a get with NLM_F_DUMP yields, of one moment: one that a change has interrupted is repeated. Where there are more than
 * `most` messages, the first of them, and the socket can only be closed.
 */
export function dump(socket: NetlinkSocket, message: Message, most = Number.POSITIVE_INFINITY): Received[] {
  for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
    const messages = dumpOnce(socket, message, most)
    if (messages !== null) return messages
  }
  throw new BogusAnswer(`netlink: everything changes all the time: ${message.what}`)
}
