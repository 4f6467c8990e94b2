/** Published ports as docker shows them. */
import { tryReadText } from "../../ffi/fs.ts"
import { formatMapping, type HeldPort, type PortMapping } from "./ports.ts"

/** A port of a container, and where on the machine it is reached. */
export interface PortBinding {
  /** `80/tcp`. */
  port: string
  address: string
  host: number
}

type Port = Omit<HeldPort, "fd"> & { address: string }

const numeric = new Intl.Collator("en", { numeric: true }).compare

let spoken: boolean | undefined

/** Whether this machine has addresses of IPv6: then published ports are reached by them, whatever their containers have. */
export function speaksIpv6(): boolean {
  spoken ??= (tryReadText("/proc/net/if_inet6") ?? "") !== ""
  return spoken
}

/** One for each address: every address of the machine is 0.0.0.0, and :: where it has IPv6. */
function spread(ports: readonly HeldPort[], hasIpv6: boolean): Port[] {
  const any = hasIpv6 ? ["0.0.0.0", "::"] : ["0.0.0.0"]
  return ports
    .flatMap(({ protocol, address, host, container }) =>
      (address === null ? any : [address]).map((one) => ({ protocol, address: one, host, container })),
    )
    .sort((a, b) => a.container - b.container || numeric(a.protocol, b.protocol) || a.host - b.host)
}

export const portBindings = (ports: readonly HeldPort[], hasIpv6: boolean): PortBinding[] =>
  spread(ports, hasIpv6).map(({ protocol, address, host, container }) => ({
    port: `${container}/${protocol}`,
    address,
    host,
  }))

/** `0.0.0.0:8080`, `[::1]:8080`. */
export const formatBinding = ({ address, host }: PortBinding): string =>
  `${address.includes(":") ? `[${address}]` : address}:${host}`

/** The column of docker ps: what follows one another is one range. */
export function portsColumn(ports: readonly HeldPort[], hasIpv6: boolean): string {
  const groups: PortMapping[] = []
  for (const { protocol, address, host, container } of spread(ports, hasIpv6)) {
    const before = groups.find(
      (one) =>
        one.protocol === protocol &&
        one.address === address &&
        one.host?.last === host - 1 &&
        one.container.last === container - 1,
    )
    if (before?.host) {
      before.host.last = host
      before.container.last = container
    } else
      groups.push({
        protocol,
        address,
        host: { first: host, last: host },
        container: { first: container, last: container },
      })
  }
  return groups.map(formatMapping).join(", ")
}
