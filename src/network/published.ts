/** Published ports as a container's record keeps them, and the end of them. */
import { close } from "../../ffi/fs.ts"
import type { Endpoint } from "./endpoint.ts"
import type { ContainerAddresses, PublishedPort } from "./firewall/elements.ts"
import { unpublish } from "./firewall/index.ts"
import { parseIp } from "./ip.ts"
import type { HeldPort } from "./ports.ts"

/** What a running container is given of networks. */
export interface Connected {
  /** Its places in networks. */
  networks?: readonly Endpoint[]
  /** What is published of it. */
  ports?: readonly HeldPort[]
  /** The kernel leads none of them: a process carries on what comes to them (forward/). */
  forwarded?: boolean
}

export const publishedPorts = (ports: readonly HeldPort[]): PublishedPort[] =>
  ports.map(({ protocol, address, host, container }) => ({
    protocol,
    address: address === null ? null : parseIp(address),
    host,
    container,
  }))

export const reachedAt = ({ ip, ip6 }: Pick<Endpoint, "ip" | "ip6">): ContainerAddresses => ({
  ip: parseIp(ip),
  ip6: ip6 === undefined ? null : parseIp(ip6),
})

/** Leads them nowhere any more, wherever they led. Before the addresses are another's. */
export function unpublishPorts(id: string, ports: readonly HeldPort[], endpoints: readonly Endpoint[]): void {
  for (const endpoint of endpoints) unpublish(id, publishedPorts(ports), reachedAt(endpoint))
}

/** Lets go of what this process holds for a container that it supervises. */
export function closePorts(ports: readonly HeldPort[]): void {
  for (const { fd } of ports) if (fd !== null) close(fd)
}
