/** `forward-child PORT MOST`: carries on what comes to a port of 127.0.0.1, by TCP and UDP, to another; prints which it has. */
import { call, takeScratch } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM } from "../../ffi/constants/socket.ts"
import { encodeSockaddr, sockaddrPort } from "../../ffi/inet.ts"
import { createLoop } from "../../src/network/forward/loop.ts"
import { forwardTcp } from "../../src/network/forward/tcp.ts"
import { forwardUdp } from "../../src/network/forward/udp.ts"

const [to, most] = process.argv.slice(2).map(Number) as [number, number]
const ip = Uint8Array.of(127, 0, 0, 1)
const address = takeScratch(32)
const bound = (type: number, port: number) => {
  const fd = call("socket", AF_INET, type | SOCK_CLOEXEC, 0)
  call("bind", fd, address.address, encodeSockaddr(address.bytes, ip, port))
  call("getsockname", fd, address.address, struct([4, 16]))
  return { fd, port: sockaddrPort(address.bytes) }
}
const stream = bound(SOCK_STREAM, 0)
const datagrams = bound(SOCK_DGRAM, stream.port)
call("listen", stream.fd, 100)
const loop = createLoop()
const [tcp, udp] = [forwardTcp(loop, most), forwardUdp(loop, most)]
tcp.listen(stream.fd, () => ({ ip, port: to }))
udp.listen(datagrams.fd, () => ({ ip, port: to }))
console.log(stream.port)
loop.run(() => {
  const short = tcp.retry()
  udp.expire()
  return short ? 200 : null
}, 200)
