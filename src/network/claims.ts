/**
 * Ports of the host that are a container's: each is bound by a socket, so that others get EADDRINUSE as from any service. They go
 * with the process that holds them. bind(2), ip(7), ipv6(7).
 */
import { call, callResult, failure, takeScratch } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../ffi/constants/socket.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, tryReadText } from "../../ffi/fs.ts"
import { encodeSockaddr, SOCKADDR_SIZE, sockaddrPort } from "../../ffi/inet.ts"
import { ToyboxError } from "../errors.ts"
import type { PublishedPort } from "./firewall/elements.ts"
import { parseIp } from "./ip.ts"
import { portHolder } from "./port-holder.ts"
import { type HeldPort, type PortMapping, type Protocol, rangeLength } from "./ports.ts"

/** Ports as they are published, and the sockets that hold them: fds, close-on-exec. */
export interface Claims {
  readonly ports: readonly PublishedPort[]
  readonly fds: readonly number[]
}

const EADDRINUSE = -98
const address = takeScratch(32)
const ANY4 = new Uint8Array(4)
const ANY6 = new Uint8Array(16)

const number = (value: number) => struct([4, value])

function boundPort(fd: number): number {
  call("getsockname", fd, address.address, number(SOCKADDR_SIZE[16]))
  return sockaddrPort(address.bytes)
}

/** Null where another has the port. Throws SyscallError. */
function bind(ip: Uint8Array, protocol: "tcp" | "udp", port: number, bothFamilies: boolean): number | null {
  const type = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM
  const fd = call("socket", ip.length === 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0)
  try {
    if (ip.length === 16) call("setsockopt", fd, IPPROTO_IPV6, IPV6_V6ONLY, number(bothFamilies ? 0 : 1), 4)
    // Datagrams that come before the rules do are nobody's.
    if (protocol === "udp") call("setsockopt", fd, SOL_SOCKET, SO_RCVBUF, number(0), 4)
    const attempt = () => callResult("bind", fd, address.address, encodeSockaddr(address.bytes, ip, port))
    let result = attempt()
    if (result === EADDRINUSE && protocol === "tcp") {
      // It may be connections that have ended: those let one in that has this option, and another that listens does not.
      call("setsockopt", fd, SOL_SOCKET, SO_REUSEADDR, number(1), 4)
      result = attempt()
      call("setsockopt", fd, SOL_SOCKET, SO_REUSEADDR, number(0), 4)
    }
    if (result === 0) return fd
    if (result !== EADDRINUSE) throw failure("bind", result, fd, `port ${port}`)
  } catch (error) {
    close(fd)
    throw error
  }
  close(fd)
  return null
}

/** One of those that the kernel itself chooses from: ip_local_port_range of ip-sysctl.rst. Whether it is free is seen when it is led. */
function anyPort(): number {
  const [first = 32768, last = 60999] = (tryReadText("/proc/sys/net/ipv4/ip_local_port_range") ?? "")
    .split(/\s+/)
    .filter(Boolean)
    .map(Number)
  return first + Math.floor(Math.random() * (last - first + 1))
}

/** Of an address, and a port or 0 for any; null where another has it. */
function claimOne(ip: Uint8Array | null, protocol: Protocol, port: number): { fd: number | null; port: number } | null {
  // The kernel may have no SCTP sockets, while it forwards SCTP.
  if (protocol === "sctp") return { fd: null, port: port === 0 ? anyPort() : port }
  let fd: number | null
  try {
    fd = bind(ip ?? ANY6, protocol, port, ip === null)
  } catch (error) {
    if (ip !== null || !isErrno(error, "EAFNOSUPPORT", "EADDRNOTAVAIL")) throw error
    fd = bind(ANY4, protocol, port, false)
  }
  return fd === null ? null : { fd, port: port === 0 ? boundPort(fd) : port }
}

const shown = (ip: string | null) => (ip === null ? "" : ip.includes(":") ? `[${ip}]:` : `${ip}:`)

function taken(mapping: PortMapping, port: number, containerWith: (port: number, protocol: Protocol) => string | null) {
  const { protocol, address: ip } = mapping
  const what = `-p: port ${shown(ip)}${port}/${protocol} of the host is in use`
  const container = containerWith(port, protocol)
  const holder = container === null ? portHolder(protocol, ip, port) : null
  const by =
    container !== null
      ? ` by the container ${container}`
      : holder?.pid
        ? ` by ${holder.command} (process ${holder.pid})`
        : ""
  return new ToyboxError(`${what}${by}`, {
    hint: `stop that, or publish another port, e.g. -p ${shown(ip)}${port + 1}:${mapping.container.first}/${protocol}`,
  })
}

function notHere({ address: text }: PortMapping, error: unknown): ToyboxError {
  if (text?.toLowerCase().startsWith("fe80:"))
    return new ToyboxError(`-p: ${text} means another address on each link: nothing is published on it`, {
      cause: error,
      hint: "leave the address out, or give a global one",
    })
  return new ToyboxError(`-p: ${text} is no address of this host`, {
    cause: error,
    hint: "leave the address out for all of them; ip address shows them",
  })
}

/**
 * Claims ports of this network namespace for a container, and chooses those that may be any: all of them, or none.
 * `containerWith` names the container that has published a port. Throws ToyboxError that names who has a port.
 */
export function claimPorts(
  mappings: readonly PortMapping[],
  containerWith: (port: number, protocol: Protocol) => string | null,
): Claims {
  const ports: PublishedPort[] = []
  const fds: number[] = []
  const claim = (mapping: PortMapping, candidates: readonly number[], container: number) => {
    const { protocol } = mapping
    const ip = mapping.address === null ? null : parseIp(mapping.address)
    for (const candidate of candidates) {
      const claimed = claimOne(ip, protocol, candidate)
      if (claimed === null) continue
      if (claimed.fd !== null) fds.push(claimed.fd)
      ports.push({ protocol, address: ip, host: claimed.port, container })
      return
    }
    throw taken(mapping, candidates[0] ?? 0, containerWith)
  }
  let current: PortMapping | undefined
  try {
    for (const mapping of mappings) {
      current = mapping
      const { host, container } = mapping
      const length = rangeLength(container)
      for (let i = 0; i < length; i++) {
        const fixed = host !== null && rangeLength(host) === length
        const candidates = fixed
          ? [host.first + i]
          : host === null
            ? [0]
            : Array.from({ length: rangeLength(host) }, (_, n) => host.first + n)
        claim(mapping, candidates, container.first + i)
      }
    }
    return { ports, fds }
  } catch (error) {
    for (const fd of fds) close(fd)
    if (current !== undefined && isErrno(error, "EADDRNOTAVAIL", "EINVAL")) throw notHere(current, error)
    if (isErrno(error, "EMFILE", "ENFILE"))
      throw new ToyboxError(`-p: ${fds.length + 1} ports need more open files than this process may have`, {
        hint: "publish fewer, or allow more: ulimit -n",
        cause: error,
      })
    throw error
  }
}

const BACKLOG = 4096
const MOST_EARLY = 64

/**
 * Has those that come to claimed ports wait from now on for who serves them. Datagrams that have come already did so before
 * anything was published.
 */
export function listenTo(ports: readonly HeldPort[]): void {
  for (const { protocol, fd } of ports) {
    if (fd === null) continue
    if (protocol === "udp") {
      for (let i = 0; i < MOST_EARLY && callResult("recv", fd, address.address, 1, MSG_DONTWAIT) >= 0; i++);
      continue
    }
    // Connections that have ended keep nobody from the port then: each inherits it. Who listens does, even so.
    call("setsockopt", fd, SOL_SOCKET, SO_REUSEADDR, number(1), 4)
    call("listen", fd, BACKLOG)
  }
}
