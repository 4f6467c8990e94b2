/** TCP connections to published ports, each carried on by one to the container: splice(2), and no copy in this process. */
import { call, callResult, scratch, takeScratch } from "../../../ffi/call.ts"
import { struct } from "../../../ffi/calls.ts"
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../../../ffi/constants/epoll.ts"
import { EAGAIN, EINPROGRESS, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM } from "../../../ffi/constants/errno.ts"
import { F_SETFL, O_NONBLOCK, O_RDWR, SPLICE_F_MOVE, SPLICE_F_NONBLOCK } from "../../../ffi/constants/fcntl.ts"
import { SIOCOUTQ } from "../../../ffi/constants/ioctl.ts"
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  SHUT_WR,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../../../ffi/constants/socket.ts"
import { close } from "../../../ffi/fs.ts"
import { encodeSockaddr } from "../../../ffi/inet.ts"
import type { Loop } from "./loop.ts"
import { CAPACITY, closePipe, givePipe, type Pipe, takePipe } from "./pipes.ts"

/** One of the two ends of a connection that is forwarded. */
interface Side {
  readonly fd: number
  /** Watched for; null where it is not watched any more. */
  watched: number | null
  /** What was read from it and the other side has not taken yet: so many bytes in a pipe. */
  pipe: Pipe | null
  pending: number
  /** Nothing more is read from it. */
  ended: boolean
  /** And the other side has been told. */
  finished: boolean
  /** It takes nothing either. */
  gone: boolean
}

interface Connection {
  readonly client: Side
  readonly target: Side
  connected: boolean
  /** One side has not taken what the other sent: neither is to believe that all is well. */
  broken: boolean
  closed: boolean
}

const FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK
const ACCEPTED_AT_ONCE = 64
// Of descriptors or memory; others get some when a connection has ended.
const SHORT = new Set([-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM])
const LATER = new Set([-EAGAIN, -EINTR])
const ONE = new Uint8Array([1, 0, 0, 0])
const address = takeScratch(32)

const makeSide = (fd: number): Side => ({
  fd,
  watched: 0,
  pipe: null,
  pending: 0,
  ended: false,
  finished: false,
  gone: false,
})

function setOptions(fd: number): void {
  // Peers that have vanished are noticed, and small answers are not held back.
  call("setsockopt", fd, SOL_SOCKET, SO_KEEPALIVE, ONE, 4)
  call("setsockopt", fd, IPPROTO_TCP, TCP_NODELAY, ONE, 4)
}

function resetAndClose(fd: number): void {
  // struct linger { on, 0 }: close(2) sends RST.
  callResult("setsockopt", fd, SOL_SOCKET, SO_LINGER, struct([4, 1], [4, 0]), 8)
}

/** Whether all that was sent before the end has come to the other side: tcp(7), SIOCOUTQ. The end itself counts as a byte. */
const hasCome = (fd: number) => callResult("ioctl", fd, SIOCOUTQ, scratch.address) < 0 || scratch.i32(0) <= 1

/** Forwards what comes to listening sockets; `most` connections at once. */
export function forwardTcp(
  loop: Loop,
  most: number,
): {
  /** `target`: where to, now; null: nowhere. */
  listen(fd: number, target: () => { ip: Uint8Array; port: number } | null): void
  /** How many connections there are. */
  count(): number
  /** Goes on accepting where it was short of something. True where it still is. */
  retry(): boolean
} {
  const listeners = new Map<number, () => { ip: Uint8Array; port: number } | null>()
  let short = false
  let connections = 0

  const pause = () => {
    if (short) return
    short = true
    for (const fd of listeners.keys()) loop.change(fd, 0)
  }
  const resume = () => {
    if (!short) return
    short = false
    for (const fd of listeners.keys()) loop.change(fd, EPOLLIN)
  }

  const end = (connection: Connection) => {
    connection.closed = true
    connections--
    for (const side of [connection.client, connection.target]) {
      if (side.watched !== null) loop.remove(side.fd)
      if (side.pipe) closePipe(side.pipe)
      if (connection.broken) resetAndClose(side.fd)
      loop.close(side.fd)
    }
    resume()
  }

  const abort = (connection: Connection) => {
    connection.broken = true
    end(connection)
  }

  /** Tells `other` that there is nobody left to answer to; not before it has what was said to it. */
  const leave = (connection: Connection, other: Side) => {
    if (hasCome(other.fd)) abort(connection)
    else end(connection)
  }

  /** Moves what there is; false where the connection has been given up. */
  const move = (connection: Connection, from: Side, to: Side): boolean => {
    // Of one that is not watched any more, nobody will tell that there is more.
    do {
      if (from.pending === 0 && !from.ended) {
        from.pipe ??= takePipe()
        if (from.pipe === null) {
          abort(connection)
          return false
        }
        const count = callResult("splice", from.fd, null, from.pipe.write, null, CAPACITY, FLAGS)
        if (count > 0) from.pending = count
        else if (count === 0) from.ended = true
        else if (!LATER.has(count)) {
          abort(connection)
          return false
        }
      }
      if (from.pending > 0 && from.pipe) {
        const count = callResult("splice", from.pipe.read, null, to.fd, null, from.pending, FLAGS)
        if (count > 0) from.pending -= count
        else if (!LATER.has(count)) {
          // It takes no more, but what it has said before may still be on its way.
          closePipe(from.pipe)
          Object.assign(from, { pipe: null, pending: 0, ended: true, finished: true })
          connection.broken = true
        }
      }
      if (from.pending > 0) break
      if (from.pipe) givePipe(from.pipe)
      from.pipe = null
      if (from.ended && !from.finished) {
        callResult("shutdown", to.fd, SHUT_WR)
        from.finished = true
      }
    } while (from.watched === null && !from.ended)
    return true
  }

  const watch = (connection: Connection, side: Side, other: Side) => {
    if (side.watched === null) return
    const { connected, target } = connection
    const readable = connected && !side.ended && side.pending === 0
    const writable = other.pending > 0 || (!connected && side === target)
    const wanted = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0)
    if (wanted !== side.watched) loop.change(side.fd, wanted)
    side.watched = wanted
  }

  const goOn = (connection: Connection, side: Side, events: number) => {
    if (connection.closed) return
    const { client, target } = connection
    if (!connection.connected && side === target) {
      call("getsockopt", target.fd, SOL_SOCKET, SO_ERROR, scratch.address, struct([4, 4]))
      if (scratch.u32(0) !== 0) return abort(connection)
      connection.connected = true
    }
    if (events & (EPOLLERR | EPOLLHUP) && side.watched !== null) {
      // It would be told again and again; to read or to write never waits from now on.
      loop.remove(side.fd)
      side.watched = null
    }
    // Of one that has said all, nothing else tells it.
    if (events & EPOLLERR) side.gone = true
    if (connection.connected) {
      if (!move(connection, client, target) || !move(connection, target, client)) return
      if (client.finished && target.finished) return end(connection)
      if (client.gone && client.finished) return leave(connection, target)
      if (target.gone && target.finished) return leave(connection, client)
    }
    watch(connection, client, target)
    watch(connection, target, client)
  }

  const open = (fd: number, to: { ip: Uint8Array; port: number } | null) => {
    const refuse = () => {
      resetAndClose(fd)
      close(fd)
    }
    if (to === null) return refuse()
    const socket = callResult(
      "socket",
      to.ip.length === 4 ? AF_INET : AF_INET6,
      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
      0,
    )
    if (socket < 0) return refuse()
    const result = callResult("connect", socket, address.address, encodeSockaddr(address.bytes, to.ip, to.port))
    if (result < 0 && result !== -EINPROGRESS) {
      close(socket)
      return refuse()
    }
    setOptions(fd)
    setOptions(socket)
    const [client, target] = [makeSide(fd), makeSide(socket)]
    const connection = { client, target, connected: false, broken: false, closed: false }
    connections++
    for (const side of [client, target]) loop.add(side.fd, 0, (events) => goOn(connection, side, events))
    watch(connection, target, client)
  }

  const accept = (listener: number, target: () => { ip: Uint8Array; port: number } | null) => {
    for (let i = 0; i < ACCEPTED_AT_ONCE; i++) {
      if (connections >= most) return pause()
      const fd = callResult("accept4", listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC)
      if (SHORT.has(fd)) return pause()
      // One that was given up by its client meanwhile is no reason to stop: accept(2).
      if (fd === -EAGAIN) return
      if (fd >= 0) open(fd, target())
    }
  }

  return {
    listen(fd, target) {
      call("fcntl", fd, F_SETFL, O_RDWR | O_NONBLOCK)
      listeners.set(fd, target)
      loop.add(fd, EPOLLIN, () => accept(fd, target))
    },
    count: () => connections,
    retry() {
      if (!short || connections >= most) return short
      resume()
      for (const [fd, target] of listeners) accept(fd, target)
      return short
    },
  }
}
