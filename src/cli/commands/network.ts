/** toybox network create, ls, inspect, rm, prune, connect, disconnect, reload. */
import { networkUsers, pruneNetworks, removeIfUnused } from "../../container/network-users.ts"
import { recoverAll } from "../../container/recover.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { createNetwork, type NetworkWish } from "../../network/make-network.ts"
import { listNetworks, type Network, networkNamed } from "../../network/network.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { actionOf } from "../actions.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { each } from "../each.ts"
import { placesIn } from "../flags/networks.ts"
import { labelsOf } from "../labels.ts"
import { table } from "../table.ts"
import { NETWORK_OPTIONS } from "./network-options.ts"

const SWITCHES: Readonly<Record<string, boolean>> = { true: true, "1": true, false: false, "0": false }

/** -o KEY=VALUE, with docker's long names, too. */
function driverOptions(texts: readonly string[]): NetworkWish {
  const wish: NetworkWish = {}
  for (const text of texts) {
    const [name = "", value = ""] = text.split("=")
    const key = name.replace(/^com\.docker\.network\.(driver|bridge)\./, "")
    const on = SWITCHES[value]
    if (key === "mtu" && /^\d{3,5}$/.test(value) && Number(value) >= 576 && Number(value) <= 65535)
      wish.mtu = Number(value)
    else if (key === "enable_ip_masquerade" && on !== undefined) wish.masquerade = on
    else if (key === "enable_icc" && on !== undefined) wish.isolated = !on
    else
      throw new UsageError(`--opt: "${text}" is not understood`, {
        hint: "mtu=576 to 65535, enable_ip_masquerade=true|false, enable_icc=true|false",
      })
  }
  return wish
}

/** One of each family, of what may be given twice. */
function byFamily(option: string, texts: readonly string[]): { four?: string; six?: string } {
  const [six, four] = [texts.filter((text) => text.includes(":")), texts.filter((text) => !text.includes(":"))]
  if (six.length > 1 || four.length > 1)
    throw new UsageError(`--${option}: one of IPv4 and one of IPv6 at most, and there are ${texts.join(", ")}`)
  return { ...(four[0] === undefined ? {} : { four: four[0] }), ...(six[0] === undefined ? {} : { six: six[0] }) }
}

function create(paths: Paths, { strings, lists, booleans, rest }: ParsedArgv): number {
  const [, name, more] = rest
  if (name === undefined || more !== undefined)
    throw new UsageError(name === undefined ? "network create needs a name" : `network create: "${more}" is too much`)
  const driver = strings.get("driver") ?? "bridge"
  if (driver !== "bridge") throw new UsageError(`--driver: "${driver}" is not known (there is only bridge)`)
  const subnet = byFamily("subnet", lists.get("subnet") ?? [])
  const gateway = byFamily("gateway", lists.get("gateway") ?? [])
  if (gateway.four !== undefined && subnet.four === undefined)
    throw new UsageError(`--gateway: ${gateway.four} needs the --subnet that it is of`)
  if (gateway.six !== undefined && subnet.six === undefined)
    throw new UsageError(`--gateway: ${gateway.six} needs the --subnet that it is of`)
  const range = strings.get("ip-range")
  if (range !== undefined && subnet.four === undefined)
    throw new UsageError(`--ip-range: ${range} needs the --subnet that it is of`)
  const isolate = booleans.get("isolate")
  const ipv6 = subnet.six ?? booleans.get("ipv6")
  const network = createNetwork(paths, name, {
    ...driverOptions(lists.get("opt") ?? []),
    ...(subnet.four === undefined ? {} : { subnet: subnet.four }),
    ...(gateway.four === undefined ? {} : { gateway: gateway.four }),
    ...(gateway.six === undefined ? {} : { gateway6: gateway.six }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
    ...(range === undefined ? {} : { range }),
    ...(isolate === undefined ? {} : { isolated: isolate }),
    internal: booleans.get("internal") ?? false,
    labels: labelsOf(lists.get("label") ?? []),
  })
  print([network.id])
  return 0
}

const FILTERS: Readonly<Record<string, (network: Network, value: string, paths: Paths) => boolean>> = {
  name: ({ name }, value) => name.includes(value),
  id: ({ id }, value) => id.startsWith(value),
  driver: (_, value) => value === "bridge",
  dangling: (network, value, paths) =>
    (networkUsers(paths, network).length === 0) === (value === "true" || value === "1"),
  label: ({ labels }, value) => {
    const [key = "", ...rest] = value.split("=")
    return Object.hasOwn(labels, key) && (rest.length === 0 || labels[key] === rest.join("="))
  },
}

function chosen(paths: Paths, filters: readonly string[]): Network[] {
  const tests = filters.map((text) => {
    const [key = "", ...value] = text.split("=")
    const test = Object.hasOwn(FILTERS, key) ? FILTERS[key] : undefined
    if (test === undefined || value.length === 0)
      throw new UsageError(`--filter: "${text}" is not understood`, {
        hint: `KEY=VALUE, with one of the keys ${Object.keys(FILTERS).join(", ")}`,
      })
    return (network: Network) => test(network, value.join("="), paths)
  })
  return listNetworks(paths).filter((network) => tests.every((test) => test(network)))
}

function list(paths: Paths, { booleans, lists, rest }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`network ls takes no arguments, but got "${rest[1]}"`)
  const networks = chosen(paths, lists.get("filter") ?? [])
  const id = (network: Network) => (booleans.get("no-trunc") ? network.id : network.id.slice(0, 12))
  if (booleans.get("json")) print(networks.map((network) => JSON.stringify(network)))
  else if (booleans.get("quiet")) print(networks.map(id))
  else {
    const rows = networks.map((network) => [
      id(network),
      network.name,
      network.bridge,
      network.subnet,
      network.subnet6 ?? "",
      String(networkUsers(paths, network).length),
    ])
    print([table([["NETWORK ID", "NAME", "LINK", "IPV4", "IPV6", "CONTAINERS"], ...rows])])
  }
  return 0
}

const config = (subnet: string, gateway: string, range: string | null) => ({
  Subnet: subnet,
  Gateway: gateway,
  ...(range === null ? {} : { IPRange: range }),
})

/** In docker's form. */
function described(paths: Paths, network: Network): object {
  const { subnet6, gateway6 } = network
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: "local",
    Driver: "bridge",
    EnableIPv6: subnet6 !== null,
    IPAM: {
      Driver: "default",
      Config: [
        config(network.subnet, network.gateway, network.range),
        ...(subnet6 && gateway6 ? [config(subnet6, gateway6, null)] : []),
      ],
    },
    Internal: network.internal,
    Containers: Object.fromEntries(
      networkUsers(paths, network).map(({ id, name, endpoint }) => [
        id,
        {
          Name: name,
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
      ...(network.mtu === null ? {} : { "com.docker.network.driver.mtu": String(network.mtu) }),
    },
    Labels: network.labels,
  }
}

function inspect(paths: Paths, { rest }: ParsedArgv): Promise<number> {
  const references = rest.slice(1)
  if (references.length === 0) throw new UsageError("network inspect needs a network", { hint: "toybox network ls" })
  const found: object[] = []
  return each(references, (reference) => {
    found.push(described(paths, networkNamed(paths, reference)))
  }).then((exitCode) => {
    print([JSON.stringify(found, null, 4)])
    return exitCode
  })
}

function removeUnused(paths: Paths, network: Network): void {
  const users = removeIfUnused(paths, network)
  if (users.length > 0)
    throw new ToyboxError(`the network ${network.name} is in use by ${users.join(", ")}`, {
      hint: "end these containers first",
    })
}

function remove(paths: Paths, { rest, booleans }: ParsedArgv): Promise<number> {
  const references = rest.slice(1)
  if (references.length === 0) throw new UsageError("network rm needs a network", { hint: "toybox network ls" })
  const force = booleans.get("force") ?? false
  return each(references, (reference) => {
    const isThere = !force || listNetworks(paths).some(({ name, id }) => name === reference || id.startsWith(reference))
    if (isThere) removeUnused(paths, networkNamed(paths, reference))
    print([reference])
  })
}

/** Those that nobody uses; the default network, too, comes back when it is needed. */
function prune(paths: Paths, { rest, lists }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`network prune takes no arguments, but got "${rest[1]}"`)
  const names = new Set(chosen(paths, lists.get("filter") ?? []).map(({ name }) => name))
  print(pruneNetworks(paths, ({ name }) => names.has(name)))
  return 0
}

function twoOf(action: string, [, network, container, more]: readonly string[]): [string, string] {
  if (network === undefined || container === undefined || more !== undefined)
    throw new UsageError(`network ${action} needs a network and a container`, {
      hint: `toybox network ${action} NETWORK CONTAINER`,
    })
  return [network, container]
}

async function plug(paths: Paths, argv: ParsedArgv): Promise<number> {
  const [network, container] = twoOf("connect", argv.rest)
  const [wish] = placesIn(argv, [network], "alias")
  if (wish) await (await import("../../container/reconnect.ts")).connectContainer(paths, wish, container)
  return 0
}

async function unplug(paths: Paths, { rest, booleans }: ParsedArgv): Promise<number> {
  const [network, container] = twoOf("disconnect", rest)
  const { disconnectContainer } = await import("../../container/reconnect.ts")
  await disconnectContainer(paths, network, container, booleans.get("force") ?? false)
  return 0
}

/** What somebody has removed of networks comes back: links' addresses, rules, published ports. */
async function reload(paths: Paths, { rest }: ParsedArgv): Promise<number> {
  if (rest.length > 1) throw new UsageError(`network reload takes no arguments, but got "${rest[1]}"`)
  print((await import("../../container/reload-networks.ts")).reloadNetworks(paths))
  return 0
}

const ACTIONS = { create, ls: list, inspect, rm: remove, prune, connect: plug, disconnect: unplug, reload }

export async function networkCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, NETWORK_OPTIONS)
  if (argv.booleans.get("help")) return (await import("../usage.ts")).printUsage("network")
  const action = actionOf("network", argv.rest, Object.keys(ACTIONS) as (keyof typeof ACTIONS)[])
  const paths = pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recoverAll(paths)
  return ACTIONS[action](paths, argv)
}
