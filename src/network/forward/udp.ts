/** Datagrams to published ports: each client has a socket of its own to the container, as long as anything passes. */
import { call, callResult, type Scratch, takeScratch } from "../../../ffi/call.ts"
import { struct } from "../../../ffi/calls.ts"
import { EPOLLIN } from "../../../ffi/constants/epoll.ts"
import {
  AF_INET,
  AF_INET6,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "../../../ffi/constants/socket.ts"
import { answerDatagram, type Datagram, receiveDatagram, tellDestinations } from "../../../ffi/datagrams.ts"
import { encodeSockaddr } from "../../../ffi/inet.ts"
import type { Loop } from "./loop.ts"

interface Flow {
  readonly fd: number
  readonly listener: number
  /** Its first: answers go where it came from, and leave by the address that it came to. */
  readonly asked: Pick<Datagram, "from" | "to">
  /** performance.now() of the last datagram. */
  used: number
  /** The container has answered. */
  answered: boolean
}

type Target = () => { ip: Uint8Array; port: number } | null

/** As conntrack has them: nf_conntrack-sysctl.rst, nf_conntrack_udp_timeout and its _stream. */
const IDLE = 30_000
const IDLE_ANSWERED = 120_000
const AT_ONCE = 64
const MOST_BYTES = 65_536
const RECEIVE_BUFFER = 1 << 20

/** Of all forwarders of this process: each datagram has gone on before the next one comes. */
let memory: { data: Scratch & { size: number }; address: Scratch } | undefined

/** Forwards what comes to bound sockets; of `most` clients at once. */
export function forwardUdp(
  loop: Loop,
  most: number,
): {
  /** `target`: where to, now; null: nowhere. */
  listen(fd: number, target: Target): void
  /** Forgets those of whom nothing was heard for long. True while there are any. */
  expire(): boolean
} {
  // Who was heard of last is behind.
  const flows = new Map<string, Flow>()
  memory ??= { data: { ...takeScratch(MOST_BYTES), size: MOST_BYTES }, address: takeScratch(32) }
  const { data, address } = memory

  const end = (key: string, flow: Flow) => {
    loop.remove(flow.fd)
    loop.close(flow.fd)
    flows.delete(key)
  }

  const answer = (key: string, flow: Flow) => {
    for (let i = 0; i < AT_ONCE; i++) {
      const count = callResult("recv", flow.fd, data.address, MOST_BYTES, MSG_DONTWAIT)
      // Refused: nobody listens there. The next datagram may find somebody.
      if (count < 0) {
        if (i === 0) end(key, flow)
        return
      }
      isUsed(key, flow)
      flow.answered = true
      answerDatagram(flow.listener, data, count, flow.asked)
    }
  }

  const isUsed = (key: string, flow: Flow) => {
    flow.used = performance.now()
    flows.delete(key)
    flows.set(key, flow)
  }

  const endOldest = () => {
    const [key, flow] = flows.entries().next().value ?? []
    if (key !== undefined && flow) end(key, flow)
  }

  const open = (key: string, listener: number, asked: Flow["asked"], target: Target) => {
    const to = target()
    if (to === null) return null
    const { ip, port } = to
    if (flows.size >= most) endOldest()
    const family = ip.length === 4 ? AF_INET : AF_INET6
    const fd = callResult("socket", family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    if (fd < 0) return null
    callResult("connect", fd, address.address, encodeSockaddr(address.bytes, ip, port))
    const flow: Flow = { fd, listener, asked, used: 0, answered: false }
    loop.add(fd, EPOLLIN, () => answer(key, flow))
    return flow
  }

  const receive = (listener: number, target: Target) => {
    for (let i = 0; i < AT_ONCE; i++) {
      const datagram = receiveDatagram(listener, data)
      if (datagram === null) return
      const { count, from, to } = datagram
      const key = `${listener} ${from.toHex()} ${to.toHex()}`
      const flow = flows.get(key) ?? open(key, listener, { from, to }, target)
      if (flow === null) continue
      isUsed(key, flow)
      callResult("send", flow.fd, data.address, count, MSG_DONTWAIT)
    }
  }

  return {
    listen(fd, target) {
      // Claimed with none, so that nothing waited there for nobody.
      call("setsockopt", fd, SOL_SOCKET, SO_RCVBUF, struct([4, RECEIVE_BUFFER]), 4)
      tellDestinations(fd)
      loop.add(fd, EPOLLIN, () => receive(fd, target))
    },
    expire() {
      const now = performance.now()
      for (const [key, flow] of flows) if (now - flow.used > (flow.answered ? IDLE_ANSWERED : IDLE)) end(key, flow)
      return flows.size > 0
    },
  }
}
