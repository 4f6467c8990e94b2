/**
 * Published ports by a process of toybox's own, for where the kernel cannot lead them to a container, or another's firewall does
 * not let what is forwarded through: to it they are like those of any service of this machine.
 */
import { call, callResult } from "../../../ffi/call.ts"
import { EPOLLIN } from "../../../ffi/constants/epoll.ts"
import { O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { open } from "../../../ffi/fs.ts"
import { createLoop } from "./loop.ts"
import { descriptorLimit, roomIn } from "./room.ts"
import { forwardTcp } from "./tcp.ts"
import { forwardUdp } from "./udp.ts"

/** A port of the host, by the socket that holds it, and where it leads. */
export interface ForwardedPort {
  protocol: "tcp" | "udp"
  /** Bound; of TCP listening. */
  fd: number
  port: number
}

const LOOK_EVERY = 200
const REST = 60_000

/** How long nobody has been served, in milliseconds of some clock: what is left of `most` of them; 0 where it is time to go. */
export function createRest(most: number, clock: () => number): (isServing: boolean) => number {
  let since = clock()
  return (isServing) => {
    if (isServing) since = clock()
    return Math.max(0, Math.ceil(since + most - clock()))
  }
}

/**
 * Carries everything that comes to the ports on to `ip` (null: nowhere, just now), until the process `pid` ends, or nobody has come
 * for a minute: who holds the ports, too, starts another when somebody does. Never returns.
 */
export function forward(ip: () => Uint8Array | null, ports: readonly ForwardedPort[], pid: number): never {
  // Nobody waits for what this process might say, and no signal of a terminal is meant for it.
  const nothing = open("/dev/null", O_RDWR)
  for (const fd of [0, 1, 2]) call("dup2", nothing, fd)
  callResult("setsid")
  const pidFd = callResult("pidfd_open", pid, 0)
  if (pidFd < 0) process.exit(0)
  const loop = createLoop()
  loop.add(pidFd, EPOLLIN, () => process.exit(0))
  const datagrams = ports.some(({ protocol }) => protocol === "udp")
  const room = roomIn(descriptorLimit(), { ports: ports.length, datagrams })
  const [tcp, udp] = [forwardTcp(loop, room.connections), forwardUdp(loop, room.flows)]
  for (const { protocol, fd, port } of ports) {
    const target = () => {
      const address = ip()
      return address && { ip: address, port }
    }
    if (protocol === "tcp") tcp.listen(fd, target)
    else udp.listen(fd, target)
  }
  const rest = createRest(REST, () => performance.now())
  return loop.run(() => {
    const short = tcp.retry()
    const flows = udp.expire()
    const left = rest(short || flows || tcp.count() > 0)
    if (left === 0) process.exit(0)
    return short || flows ? LOOK_EVERY : tcp.count() > 0 ? null : left
  }, LOOK_EVERY)
}
