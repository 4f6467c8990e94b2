/** toybox network create, ls, inspect, rm, prune, connect, disconnect, reload. */
import { networkUsers, pruneNetworks, removeIfUnused } from "../../container/network-users.ts"
import { recoverAll } from "../../container/recover.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { createNetwork } from "../../network/make-network.ts"
import { listNetworks, type Network, networkNamed } from "../../network/network.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { actionOf, parseAction } from "../actions.ts"
import type { ParsedArgv } from "../argv.ts"
import { each } from "../each.ts"
import { placesIn } from "../flags/networks.ts"
import { printInspected } from "../inspected.ts"
import { labelTest, listFilter, nameTest, truth } from "../list-filter.ts"
import {
  allNetworks,
  driverOf,
  inspectNetwork,
  isBuiltIn,
  type Listed,
  listedNetwork,
  networkFields,
} from "../network-fields.ts"
import { networkWish } from "../network-wish.ts"
import { pruneFilter } from "../prune-filter.ts"
import { listFormat } from "../table.ts"
import { printFormatted } from "../template.ts"
import { NETWORK_OPTIONS } from "./network-options.ts"

function create(paths: Paths, argv: ParsedArgv): number {
  const [, name, more] = argv.rest
  if (name === undefined || more !== undefined)
    throw new UsageError(name === undefined ? "network create needs a name" : `network create: "${more}" is too much`)
  print([createNetwork(paths, name, networkWish(argv)).id])
  return 0
}

/** The networks that all filters mean. Throws UsageError. */
function chosen(paths: Paths, filters: readonly string[]): Listed[] {
  const isChosen = listFilter<Listed>(filters, {
    name(value) {
      const isMeant = nameTest(value)
      return ({ name }) => isMeant(name)
    },
    id: (value) => (network) => network.id.startsWith(value),
    driver: (value) => (network) => driverOf(network) === value,
    scope: (value) => () => value === "local",
    type(value) {
      if (value !== "custom" && value !== "builtin")
        throw new UsageError(`--filter: type=${value} is neither custom nor builtin`)
      return (network) => isBuiltIn(network) === (value === "builtin")
    },
    dangling(value) {
      const wanted = truth("dangling", value)
      const isUsed = (network: Listed) => isBuiltIn(network) || networkUsers(paths, network as Network).length > 0
      return (network) => isUsed(network) !== wanted
    },
    label: labelTest,
  })
  return allNetworks(paths).filter(isChosen)
}

function list(paths: Paths, { booleans, lists, strings, rest }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`network ls takes no arguments, but got "${rest[1]}"`)
  const networks = chosen(paths, lists.get("filter") ?? [])
  const full = booleans.get("no-trunc") ?? false
  if (booleans.get("json")) print(networks.filter((one) => "bridge" in one).map((network) => JSON.stringify(network)))
  else if (booleans.get("quiet")) print(networks.map(({ id }) => (full ? id : id.slice(0, 12))))
  else {
    const format = listFormat(strings.get("format")) ?? "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"
    const fields = networks.map((network) => networkFields(network, full))
    printFormatted(format, fields, { ID: "NETWORK ID", CreatedAt: "CREATED AT" })
  }
  return 0
}

async function inspect(paths: Paths, { strings, rest }: ParsedArgv): Promise<number> {
  const references = rest.slice(1)
  if (references.length === 0) throw new UsageError("network inspect needs a network", { hint: "toybox network ls" })
  const found: object[] = []
  const exitCode = await each(references, (reference) => {
    found.push(inspectNetwork(paths, listedNetwork(paths, reference)))
  })
  await printInspected(found, strings.get("format"))
  return exitCode
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
    if (reference === "host" || reference === "none")
      throw new ToyboxError(`${reference} is always there: it cannot be removed`)
    if (isThere) removeUnused(paths, networkNamed(paths, reference))
    print([reference])
  })
}

/** Those that nobody uses; the default network, too, comes back when it is needed. */
function prune(paths: Paths, { rest, lists }: ParsedArgv): number {
  if (rest.length > 1) throw new UsageError(`network prune takes no arguments, but got "${rest[1]}"`)
  print(pruneNetworks(paths, pruneFilter(lists.get("filter") ?? [], Date.now())))
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
  print(await (await import("../../container/reload-networks.ts")).reloadNetworks(paths))
  return 0
}

const ACTIONS = { create, ls: list, inspect, rm: remove, prune, connect: plug, disconnect: unplug, reload }

export async function networkCommand(words: readonly string[]): Promise<number> {
  const argv = parseAction(words, NETWORK_OPTIONS, { ls: "filter", inspect: "format" })
  if (argv.booleans.get("help")) return (await import("../usage.ts")).printUsage("network")
  const action = actionOf("network", argv.rest, Object.keys(ACTIONS) as (keyof typeof ACTIONS)[])
  const paths = pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  recoverAll(paths)
  let exitCode = 0
  // With docker 125 is of run and create alone.
  const failed = await each([action], async () => {
    exitCode = await ACTIONS[action](paths, argv)
  })
  return exitCode || failed
}
