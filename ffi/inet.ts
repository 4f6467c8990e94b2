/** struct sockaddr_in of ip(7), struct sockaddr_in6 of ipv6(7). */
import { AF_INET, AF_INET6 } from "./constants/socket.ts"

/** The size of either. */
export const SOCKADDR_SIZE = { 4: 16, 16: 28 } as const

/** Writes one for an address of 4 or 16 bytes; returns its size. */
export function encodeSockaddr(into: Uint8Array, ip: Uint8Array, port: number): number {
  const four = ip.length === 4
  const size = SOCKADDR_SIZE[four ? 4 : 16]
  into.fill(0, 0, size)
  const view = new DataView(into.buffer, into.byteOffset, into.length)
  view.setUint16(0, four ? AF_INET : AF_INET6, true)
  view.setUint16(2, port)
  into.set(ip, four ? 4 : 8)
  return size
}

/** Its port. */
export const sockaddrPort = (bytes: Uint8Array): number => ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)
