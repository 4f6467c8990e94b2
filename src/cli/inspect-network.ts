/** What docker inspect shows of a container's networks. */
import type { RunningRecord } from "../container/state.ts"
import type { StoredRequest } from "../container/stored-request.ts"
import { DEFAULT_NETWORK } from "../network/default.ts"
import type { Endpoint } from "../network/endpoint.ts"
import { type PortWish, rangeLength } from "../network/ports.ts"
import { type PortBinding, portBindings, speaksIpv6 } from "../network/show-ports.ts"
import { listOrNull } from "./go-values.ts"
import { endpointId } from "./network-fields.ts"

interface Container {
  id: string
  name: string
}

/** The names that others on a network know it by. */
const dnsNames = ({ id, name }: Container, network: string, aliases: readonly string[]) =>
  network === DEFAULT_NETWORK ? null : [...new Set([name, ...aliases, id.slice(0, 12)])]

const NOWHERE = {
  ...{ NetworkID: "", EndpointID: "", IPAddress: "", IPPrefixLen: 0, Gateway: "", MacAddress: "" },
  ...{ GlobalIPv6Address: "", GlobalIPv6PrefixLen: 0, IPv6Gateway: "", Aliases: [] as readonly string[] },
}

/** Of a network's member; what there is of it stands beside it already, or toybox does not have. */
const OF_PLACE = { IPAMConfig: null, Links: listOrNull([]), DriverOpts: null }

/** What docker itself says nothing in any more. */
const NO_BRIDGE = {
  ...{ Bridge: "", HairpinMode: false, LinkLocalIPv6Address: "", LinkLocalIPv6PrefixLen: 0 },
  ...{ SecondaryIPAddresses: listOrNull([]), SecondaryIPv6Addresses: listOrNull([]) },
}

const placeSettings = (container: Container, endpoint: Endpoint) => ({
  NetworkID: endpoint.networkId,
  EndpointID: endpointId(container.id, endpoint),
  IPAddress: endpoint.ip,
  IPPrefixLen: endpoint.prefix,
  Gateway: endpoint.gateway,
  MacAddress: endpoint.mac,
  GlobalIPv6Address: endpoint.ip6 ?? "",
  GlobalIPv6PrefixLen: endpoint.prefix6 ?? 0,
  IPv6Gateway: endpoint.gateway6 ?? "",
  Aliases: endpoint.aliases ?? [],
  ...OF_PLACE,
  DNSNames: dnsNames(container, endpoint.network, endpoint.aliases ?? []),
})

const hostBinding = ({ address, host }: PortBinding) => ({ HostIp: address, HostPort: String(host) })

const mapValues = <One, Other>(lists: Partial<Record<string, One[]>>, change: (one: One) => Other) =>
  Object.fromEntries(Object.entries(lists).map(([key, list = []]) => [key, list.map(change)]))

/** With the first network's in front, as docker has it. Of one that does not run, where it is to be. */
export function networkSettings(container: Container, running: RunningRecord | null, stored: StoredRequest) {
  const { networks: endpoints = [], ports = [], pid = 0 } = running ?? {}
  const [first] = endpoints
  const { NetworkID: _id, Aliases: _names, ...front } = first ? placeSettings(container, first) : NOWHERE
  const Ports = Object.groupBy(portBindings(ports, speaksIpv6()), ({ port }) => port)
  const places = endpoints.map((one) => [one.network, placeSettings(container, one)] as const)
  const wished = stored.networks.map(({ network, aliases }) => {
    const DNSNames = dnsNames(container, network, aliases)
    return [network, { ...NOWHERE, ...OF_PLACE, Aliases: aliases, DNSNames }] as const
  })
  const mode = networkModeOf(stored)
  const isNone = endpoints.length + wished.length === 0 && (mode === "none" || mode === "host")
  const none = isNone ? [[mode, { ...NOWHERE, ...OF_PLACE, DNSNames: null }] as const] : []
  return {
    ...front,
    ...NO_BRIDGE,
    SandboxID: pid > 0 ? container.id : "",
    SandboxKey: pid > 0 ? `/proc/${pid}/ns/net` : "",
    Ports: mapValues(Ports, hostBinding),
    Networks: Object.fromEntries([...none, ...(running ? places : wished)]),
  }
}

/** HostConfig.NetworkMode. */
export function networkModeOf({ networks, process }: StoredRequest): string {
  const mode = process.namespaces.network ?? { mode: "private" }
  if (mode.mode === "container") return `container:${mode.id}`
  if (mode.mode === "path") return `ns:${mode.path}`
  return mode.mode === "host" ? "host" : (networks[0]?.network ?? "none")
}

/** HostConfig.PortBindings: what -p asks for; a port that may be any is empty. */
export function wantedBindings(ports: PortWish | null) {
  const wanted = (ports?.published ?? []).flatMap(({ address, host, container, protocol }) =>
    Array.from({ length: rangeLength(container) }, (_, i) => ({
      port: `${container.first + i}/${protocol}`,
      HostIp: address ?? "",
      HostPort:
        host === null
          ? ""
          : rangeLength(host) === rangeLength(container)
            ? `${host.first + i}`
            : `${host.first}-${host.last}`,
    })),
  )
  return mapValues(
    Object.groupBy(wanted, ({ port }) => port),
    ({ port: _, ...binding }) => binding,
  )
}

/** Config.ExposedPorts. */
export const exposedOf = ({ exposed = [] }: Partial<StoredRequest>) =>
  exposed.length === 0 ? {} : { ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])) }
