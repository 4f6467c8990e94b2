/**
 * Datagrams with the address of this machine that each came to, so that an answer may leave from it: recvmsg(2), cmsg(3),
 * IP_PKTINFO of ip(7), IPV6_PKTINFO of ipv6(7).
 */
import { callResult, takeScratch } from "./call.ts"
import { EAGAIN } from "./constants/errno.ts"
import {
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  IPV6_RECVPKTINFO,
  MSG_DONTWAIT,
} from "./constants/socket.ts"

/** Where datagrams are read to, and sent from. */
export interface DatagramBuffer {
  readonly address: number
  readonly size: number
}

export interface Datagram {
  /** In bytes. */
  readonly count: number
  /** The sender: struct sockaddr_in or sockaddr_in6. */
  readonly from: Uint8Array
  /** A control message that has what is sent with it leave from the address that this one came to; empty where it is not told. */
  readonly to: Uint8Array
}

const SOCKADDR = 28
// struct msghdr, and what it leads to: struct iovec, an address, and room for a control message or two.
const AT = { name: 0, nameLength: 8, iov: 16, iovLength: 24, control: 32, controlLength: 40, size: 56 } as const
const IOV = { at: AT.size, data: AT.size, length: AT.size + 8 } as const
const NAME = IOV.at + 16
const CONTROL = NAME + 32
const MOST_CONTROL = 128
// struct cmsghdr is 16 bytes; then struct in_pktinfo { ifindex, spec_dst, addr } or in6_pktinfo { addr, ifindex }.
const HEADER = 16
const INFO4 = { size: 12, specDst: 4 } as const
const INFO6 = { size: 20, ifindex: 16 } as const

const memory = takeScratch(CONTROL + MOST_CONTROL)
const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, memory.bytes.length)
const setWord = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true)

function setHeader(nameLength: number, data: number, size: number, control: number): void {
  setWord(AT.name, memory.address + NAME)
  view.setUint32(AT.nameLength, nameLength, true)
  setWord(AT.iov, memory.address + IOV.at)
  setWord(AT.iovLength, 1)
  setWord(IOV.data, data)
  setWord(IOV.length, size)
  setWord(AT.control, control === 0 ? 0 : memory.address + CONTROL)
  setWord(AT.controlLength, control)
  setWord(AT.controlLength + 8, 0)
}

/** Asks that datagrams of a socket of either family come with the address that they were sent to. */
export function tellDestinations(fd: number): void {
  const one = Uint8Array.of(1, 0, 0, 0)
  // On a socket of IPv6 it tells of IPv4, too, in mapped addresses.
  if (callResult("setsockopt", fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, one, 4) < 0)
    callResult("setsockopt", fd, IPPROTO_IP, IP_PKTINFO, one, 4)
}

const isLinkLocal = (ip: Uint8Array) => ip[0] === 0xfe && ((ip[1] ?? 0) & 0xc0) === 0x80

/** What is to be sent with an answer to a datagram that came with this control message; empty where that says nothing. */
export function answering(control: Uint8Array): Uint8Array {
  const from = new DataView(control.buffer, control.byteOffset, control.length)
  for (let at = 0; at + HEADER <= control.length; ) {
    const length = Number(from.getBigUint64(at, true))
    const [level, type] = [from.getInt32(at + 8, true), from.getInt32(at + 12, true)]
    if (length < HEADER || at + length > control.length) break
    const info = control.subarray(at + HEADER, at + length)
    const four = level === IPPROTO_IP && type === IP_PKTINFO && info.length >= INFO4.size
    const six = level === IPPROTO_IPV6 && type === IPV6_PKTINFO && info.length >= INFO6.size
    if (four || six) {
      const answer = new Uint8Array(HEADER + 24)
      const size = four ? INFO4.size : INFO6.size
      const header = new DataView(answer.buffer)
      header.setBigUint64(0, BigInt(HEADER + size), true)
      header.setInt32(8, level, true)
      header.setInt32(12, type, true)
      // By whatever link the way back leads, but where the address means another machine on each link.
      if (four) answer.set(info.subarray(INFO4.specDst, INFO4.specDst + 4), HEADER + INFO4.specDst)
      else answer.set(info.subarray(0, isLinkLocal(info) ? INFO6.size : INFO6.ifindex), HEADER)
      return answer.subarray(0, HEADER + (four ? 16 : 24))
    }
    at += (length + 7) & ~7
  }
  return new Uint8Array(0)
}

/** What is next in a socket's queue; null where there is nothing, or an error that the next one may not find. */
export function receiveDatagram(fd: number, { address, size }: DatagramBuffer): Datagram | null {
  setHeader(SOCKADDR, address, size, MOST_CONTROL)
  const count = callResult("recvmsg", fd, memory.address, MSG_DONTWAIT)
  if (count < 0) return null
  const [named, told] = [memory.u32(AT.nameLength), memory.u32(AT.controlLength)]
  return {
    count,
    from: memory.bytes.slice(NAME, NAME + Math.min(named, SOCKADDR)),
    to: answering(memory.bytes.subarray(CONTROL, CONTROL + Math.min(told, MOST_CONTROL))),
  }
}

/**
 * Sends `count` bytes of a buffer to where a datagram came `from`, by the address it came `to`; from another where none can be
 * sent from that (a broadcast address, one that is gone). Returns the result, or -errno.
 */
export function answerDatagram(
  fd: number,
  { address }: DatagramBuffer,
  count: number,
  { from, to }: Pick<Datagram, "from" | "to">,
): number {
  memory.bytes.set(from, NAME)
  memory.bytes.set(to, CONTROL)
  setHeader(from.length, address, count, to.length)
  const result = callResult("sendmsg", fd, memory.address, MSG_DONTWAIT)
  if (result >= 0 || to.length === 0 || result === -EAGAIN) return result
  setHeader(from.length, address, count, 0)
  return callResult("sendmsg", fd, memory.address, MSG_DONTWAIT)
}
