/** --explain: what a run would do to networks. Changes nothing. */
import { DEFAULT_MTU } from "../network/bridge.ts"
import { describeEndpoint, type Endpoint, leadingOut, type Place } from "../network/endpoint.ts"
import { describeNetwork, describePublish } from "../network/firewall/index.ts"
import { formatIp, parseIp } from "../network/ip.ts"
import { formatMac } from "../network/links.ts"
import { describeBridge } from "../network/make-bridge.ts"
import { networkFor } from "../network/make-network.ts"
import { addressOf, cidrOf, type Network, subnetsOf } from "../network/network.ts"
import { type PortWish, rangeLength } from "../network/ports.ts"
import { reachedAt } from "../network/published.ts"
import { addressAt } from "../network/subnets.ts"
import type { Paths } from "../paths.ts"
import { wantedPorts } from "./ports.ts"
import type { ContainerRequest } from "./request.ts"

// The first address that is not the gateway's: which is free is seen when one is taken.
function shown(network: Network, wish: ContainerRequest["networks"][number], position: number, id: string): Endpoint {
  const [four, six] = subnetsOf(network)
  const free = (subnet: NonNullable<typeof four>) => formatIp(addressAt(subnet, 2))
  const ip = wish.ip ?? (four ? free(four) : "")
  const { gateway6, subnet6 } = network
  return {
    network: network.name,
    networkId: network.id,
    link: `veth${id.slice(0, 10)}`,
    interface: `eth${position}`,
    mac: wish.mac ?? formatMac(Uint8Array.of(0x02, 0x42, ...addressOf(ip))),
    ip,
    prefix: cidrOf(network.subnet).prefix,
    gateway: network.gateway,
    ...(six && subnet6 && gateway6 ? { ip6: wish.ip6 ?? free(six), prefix6: cidrOf(subnet6).prefix, gateway6 } : {}),
  }
}

/** The places that a run would have, and the lines of ip(8) and nft(8) that make them. */
export function explainNetworks(
  request: ContainerRequest,
  paths: Paths,
  id: string,
): { endpoints: Endpoint[]; lines: string[] } {
  const places = request.networks.map((wish, position): Place => {
    const network = networkFor(paths, wish.network)
    const bridge = { network, index: 0, mtu: network.mtu ?? DEFAULT_MTU }
    return { endpoint: shown(network, wish, position, id), bridge, hairpin: request.ports !== null }
  })
  const leading = leadingOut(places)
  return {
    endpoints: places.map(({ endpoint }) => endpoint),
    lines: [
      "# Networks that are not there yet",
      ...places.flatMap(({ bridge: { network } }) => [
        ...describeBridge(network, network.mtu ?? DEFAULT_MTU),
        ...describeNetwork({ ...network, subnets: subnetsOf(network) }),
      ]),
      "",
      "# While the container's process ($PID) makes itself ready",
      ...places.flatMap((place) => describeEndpoint(place, place.endpoint === leading)),
      ...(request.ports ? describePorts(request.ports, id, leading) : []),
      "",
    ],
  }
}

// A port that any will do for is shown as 0: which it is is seen when it is claimed.
function describePorts(wish: PortWish, id: string, endpoint: Endpoint | undefined): string[] {
  if (endpoint === undefined) return []
  const ports = wantedPorts(wish).flatMap(({ address, host, container, protocol }) =>
    Array.from({ length: rangeLength(container) }, (_, i) => ({
      protocol,
      address: address === null ? null : parseIp(address),
      host: host === null ? 0 : Math.min(host.first + i, host.last),
      container: container.first + i,
    })),
  )
  return describePublish(id, ports, reachedAt(endpoint))
}
