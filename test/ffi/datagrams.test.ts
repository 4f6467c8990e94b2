import { expect, test } from "bun:test"
import { call, callResult, takeScratch } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import { POLLIN } from "../../ffi/constants/poll.ts"
import { AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_CLOEXEC, SOCK_DGRAM } from "../../ffi/constants/socket.ts"
import { answerDatagram, answering, receiveDatagram, tellDestinations } from "../../ffi/datagrams.ts"
import { close } from "../../ffi/fs.ts"
import { encodeSockaddr, sockaddrPort } from "../../ffi/inet.ts"
import { poll } from "../../ffi/poll.ts"

const address = takeScratch(32)
const data = { ...takeScratch(2048), size: 2048 }

function bound(ip: Uint8Array): { fd: number; port: number } {
  const fd = call("socket", ip.length === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (ip.length === 16) call("setsockopt", fd, IPPROTO_IPV6, IPV6_V6ONLY, struct([4, 0]), 4)
  call("bind", fd, address.address, encodeSockaddr(address.bytes, ip, 0))
  call("getsockname", fd, address.address, struct([4, 28]))
  return { fd, port: sockaddrPort(address.bytes) }
}

const awaitData = (fd: number) => expect(poll([{ fd, events: POLLIN }], 5000)[0]).toBe(POLLIN)
const hex = (ip: Uint8Array) => ip.toHex()
const loopback4 = Uint8Array.of(127, 0, 0, 5)
const loopback6 = Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 1 : 0))

test.each([
  ["IPv4", new Uint8Array(4), loopback4],
  ["IPv4, on a socket of both families", new Uint8Array(16), loopback4],
  ["IPv6", new Uint8Array(16), loopback6],
])("an answer comes from the address that was asked: %s", (_, any, asked) => {
  const server = bound(any)
  const client = bound(asked.length === 4 ? new Uint8Array(4) : new Uint8Array(16))
  try {
    tellDestinations(server.fd)
    call("sendto", client.fd, "hello", 5, 0, address.address, encodeSockaddr(address.bytes, asked, server.port))
    awaitData(server.fd)
    const datagram = receiveDatagram(server.fd, data)
    expect(datagram?.count).toBe(5)
    expect(sockaddrPort(datagram?.from ?? new Uint8Array(2))).toBe(client.port)
    expect(answerDatagram(server.fd, data, 4, datagram ?? { from: new Uint8Array(0), to: new Uint8Array(0) })).toBe(4)
    awaitData(client.fd)
    const length = struct([4, 28])
    expect(callResult("recvfrom", client.fd, data.address, data.size, 0, address.address, length)).toBe(4)
    const ip = address.bytes.slice(asked.length === 4 ? 4 : 8, asked.length === 4 ? 8 : 24)
    expect(hex(ip)).toBe(hex(asked))
    expect(receiveDatagram(server.fd, data)).toBeNull()
  } finally {
    close(server.fd)
    close(client.fd)
  }
})

/** A control message of a level and a type. */
function control(level: number, type: number, info: readonly number[]): Uint8Array {
  const bytes = new Uint8Array((16 + info.length + 7) & ~7)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(16 + info.length), true)
  view.setInt32(8, level, true)
  view.setInt32(12, type, true)
  bytes.set(info, 16)
  return bytes
}

test("of a link only what has a meaning on that link alone leaves by it", () => {
  const rest = Array<number>(13).fill(7)
  const other = control(1, 29, [1, 2, 3, 4])
  const global = control(41, 50, [0xfd, 0, 0, ...rest, 9, 0, 0, 0])
  expect(hex(answering(Uint8Array.of(...other, ...global)))).toBe(
    hex(control(41, 50, [0xfd, 0, 0, ...rest, 0, 0, 0, 0])),
  )
  const local = control(41, 50, [0xfe, 0x80, 0, ...rest, 9, 0, 0, 0])
  expect(hex(answering(local))).toBe(hex(local))
  // Sent to a broadcast address: the answer leaves from the machine's own.
  const four = control(0, 8, [3, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 255])
  expect(hex(answering(four))).toBe(hex(control(0, 8, [0, 0, 0, 0, 10, 0, 0, 1, 0, 0, 0, 0])))
  for (const nothing of [new Uint8Array(0), other, global.subarray(0, 20)]) expect(answering(nothing)).toHaveLength(0)
})
