/** What toybox is called as by itself, to carry on what comes to published ports. */
import { readRunning } from "../../container/state.ts"
import { UsageError } from "../../errors.ts"
import { type ForwardedPort, forward } from "../../network/forward/index.ts"
import { parseIp } from "../../network/ip.ts"
import { pathsFor } from "../../paths.ts"

/** `forward ID STARTED IP PROTOCOL:FD:PORT…`; never returns. */
export function forwardCommand([id = "", started, address = "", ...words]: readonly string[]): never {
  const ip = parseIp(address)
  const ports = words.map((word): ForwardedPort => {
    const [protocol, fd, port] = word.split(":")
    if (protocol !== "tcp" && protocol !== "udp") throw new UsageError("forward is for toybox itself")
    return { protocol, fd: Number(fd), port: Number(port) }
  })
  if (ip === null || ports.length === 0) throw new UsageError("forward is for toybox itself")
  const paths = pathsFor(process.env.TOYBOX_ROOT)
  return forward(ip, ports, () => {
    const running = readRunning(paths, id)
    if (running === null || running.started !== started) return 0
    return running.pid > 0 ? running.pid : null
  })
}
