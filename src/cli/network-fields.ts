/** Networks as docker shows them. */
import { networkUsers } from "../container/network-users.ts"
import { DEFAULT_NETWORK } from "../network/default.ts"
import type { Endpoint } from "../network/endpoint.ts"
import { obtainNetwork } from "../network/make-network.ts"
import { listNetworks, type Network, networkNamed } from "../network/network.ts"
import type { Paths } from "../paths.ts"
import { goTime } from "./docker-fields.ts"
import { shown } from "./table.ts"

/** What --net takes besides networks, and docker lists as such. */
interface BuiltIn {
  id: string
  name: "host" | "none"
  driver: "host" | "null"
  labels: Readonly<Record<string, string>>
}

export type Listed = Network | BuiltIn

const digest = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex")

const BUILT_IN: readonly BuiltIn[] = [
  { id: digest("toybox network host"), name: "host", driver: "host", labels: {} },
  { id: digest("toybox network none"), name: "none", driver: "null", labels: {} },
]

/** Another one for each place that a container has had. */
export const endpointId = (id: string, { networkId, link }: Endpoint): string => digest(`${id} ${networkId} ${link}`)

export const driverOf = (network: Listed): string => ("driver" in network ? network.driver : "bridge")

/** Nobody has made it. */
export const isBuiltIn = ({ name }: Listed): boolean => [DEFAULT_NETWORK, "host", "none"].includes(name)

/** All that --net takes, the default network among them, by name. */
export function allNetworks(paths: Paths): Listed[] {
  obtainNetwork(paths, DEFAULT_NETWORK)
  return [...listNetworks(paths), ...BUILT_IN].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** One of them by name or the beginning of its id. Throws ToyboxError. */
export function listedNetwork(paths: Paths, reference: string): Listed {
  const found = BUILT_IN.find(({ name, id }) => name === reference || id === reference)
  if (found) return found
  if (reference === DEFAULT_NETWORK) return obtainNetwork(paths, DEFAULT_NETWORK)
  return networkNamed(paths, reference)
}

/** The same; null where there is none. */
export function findListed(paths: Paths, reference: string): Listed | null {
  if (reference === DEFAULT_NETWORK) return obtainNetwork(paths, DEFAULT_NETWORK)
  const known = [...listNetworks(paths), ...BUILT_IN]
  const begun = /^[0-9a-f]+$/.test(reference) ? known.filter(({ id }) => id.startsWith(reference)) : []
  return known.find(({ name }) => name === reference) ?? (begun.length === 1 ? (begun[0] ?? null) : null)
}

/** The fields of network ls --format. */
export function networkFields(network: Listed, full: boolean): object {
  const { id, name, labels } = network
  const isMade = "bridge" in network
  const fields = {
    CreatedAt: isMade ? goTime(network.created) : "",
    Driver: driverOf(network),
    ID: full ? id : id.slice(0, 12),
    IPv4: "true",
    IPv6: String(isMade && network.subnet6 !== null),
    Internal: String(isMade && network.internal),
    Labels: Object.entries(labels)
      .map(([key, value]) => shown(`${key}=${value}`))
      .join(","),
    Name: name,
    Scope: "local",
  }
  // Not of what {{json .}} shows.
  return Object.defineProperty(fields, "Label", { value: (key: string) => labels[key] ?? "" })
}

/** None of toybox's is made of another one's settings. */
const OF_OWN = { ConfigFrom: { Network: "" }, ConfigOnly: false }

const builtIn = ({ id, name, driver }: BuiltIn) => ({
  ...{ Name: name, Id: id, Created: "0001-01-01T00:00:00Z", Scope: "local", Driver: driver },
  ...{ EnableIPv4: true, EnableIPv6: false, IPAM: { Driver: "default", Options: null, Config: [] } },
  ...OF_OWN,
  ...{ Internal: false, Attachable: false, Ingress: false, Containers: {}, Options: {}, Labels: {} },
})

const config = (subnet: string, gateway: string, range: string | null) => ({
  Subnet: subnet,
  Gateway: gateway,
  ...(range === null ? {} : { IPRange: range }),
})

/** A network as docker network inspect shows it. */
export function inspectNetwork(paths: Paths, network: Listed): object {
  if (!("bridge" in network)) return builtIn(network)
  const { asked6, subnet6, gateway6 } = network
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: "local",
    Driver: "bridge",
    EnableIPv4: true,
    EnableIPv6: subnet6 !== null,
    IPAM: {
      Driver: "default",
      Options: {},
      Config: [
        config(network.subnet, network.gateway, network.range),
        // Scripts for docker put all of these gateways together, and count on one where nobody has asked for IPv6.
        ...(asked6 && subnet6 && gateway6 ? [config(subnet6, gateway6, null)] : []),
      ],
    },
    ...OF_OWN,
    Internal: network.internal,
    Attachable: false,
    Ingress: false,
    Containers: Object.fromEntries(
      networkUsers(paths, network).map(({ id, name, endpoint }) => [
        id,
        {
          Name: name,
          EndpointID: endpointId(id, endpoint),
          MacAddress: endpoint.mac,
          IPv4Address: `${endpoint.ip}/${endpoint.prefix}`,
          IPv6Address: endpoint.ip6 === undefined ? "" : `${endpoint.ip6}/${endpoint.prefix6}`,
        },
      ]),
    ),
    Options: {
      "com.docker.network.bridge.name": network.bridge,
      "com.docker.network.bridge.enable_icc": String(!network.isolated),
      "com.docker.network.bridge.enable_ip_masquerade": String(network.masquerade),
      ...(network.hostBinding ? { "com.docker.network.bridge.host_binding_ipv4": network.hostBinding } : {}),
      ...(network.mtu === null ? {} : { "com.docker.network.driver.mtu": String(network.mtu) }),
    },
    Labels: network.labels,
  }
}
