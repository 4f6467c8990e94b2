/** What toybox is called as by itself, to carry on what comes to published ports. */
import { publishingAddress } from "../../container/ports.ts"
import { readRunning } from "../../container/state.ts"
import { UsageError } from "../../errors.ts"
import { type ForwardedPort, forward } from "../../network/forward/index.ts"
import { pathsFor } from "../../paths.ts"

// For so many milliseconds a container is taken to be where it was: it may be connected to other networks.
const REMEMBERED = 500

/** `forward ID STARTED PROTOCOL:FD:PORT…`; never returns. */
export function forwardCommand([id = "", started, ...words]: readonly string[]): never {
  const ports = words.map((word): ForwardedPort => {
    const [protocol, fd, port] = word.split(":")
    if (protocol !== "tcp" && protocol !== "udp") throw new UsageError("forward is for toybox itself")
    return { protocol, fd: Number(fd), port: Number(port) }
  })
  if (ports.length === 0) throw new UsageError("forward is for toybox itself")
  const paths = pathsFor(process.env.TOYBOX_ROOT)
  let known: { ip: Uint8Array | null; until: number } = { ip: null, until: 0 }
  const target = () => {
    const now = performance.now()
    if (now > known.until) known = { ip: publishingAddress(paths, id), until: now + REMEMBERED }
    return known.ip
  }
  const running = readRunning(paths, id)
  return forward(target, ports, running !== null && running.started === started ? running.pid : 0)
}
