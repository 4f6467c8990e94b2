/** Published ports of a container: claimed before its start, led to it when it is connected, given back at its end. */
import { tryReadText } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import { type Bridge, toldPath } from "../network/bridge.ts"
import { claimPorts, listenTo } from "../network/claims.ts"
import type { Endpoint, Place } from "../network/endpoint.ts"
import { arePublished, describePublish, hasNfTables, type Published, publish } from "../network/firewall/index.ts"
import { formatIp, parseIp } from "../network/ip.ts"
import { findNetwork } from "../network/network.ts"
import {
  type HeldPort,
  type PortMapping,
  type PortWish,
  type Protocol,
  publishAll,
  servedPorts,
} from "../network/ports.ts"
import { closePorts, publishedPorts, reachedAt } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { type FileLock, writeAtOnce } from "../state-file.ts"
import { recover } from "./recover.ts"
import type { ContainerRequest } from "./request.ts"
import { type RunningRecord, readHead, readRunning, runningIds, updateRunning } from "./state.ts"

interface Live {
  id: string
  record: RunningRecord
  places: readonly Place[]
  lock: FileLock
}

/** The mappings of -p, and with -P those of what is exposed besides. */
export const wantedPorts = ({ published, all, exposed }: PortWish) =>
  all ? [...published, ...publishAll(exposed, published)] : [...published]

function containerWith(paths: Paths, port: number, protocol: Protocol): string | null {
  const id = runningIds(paths).find((one) =>
    readRunning(paths, one)?.ports?.some((held) => held.host === port && held.protocol === protocol),
  )
  return id === undefined ? null : (readHead(paths, id)?.name ?? id.slice(0, 12))
}

/** Those that ask for no address are published where their network has it. */
const bound = (mappings: readonly PortMapping[], binding: string | undefined): PortMapping[] =>
  mappings.map((mapping) => (binding === undefined ? mapping : { ...mapping, address: mapping.address ?? binding }))

/** Claims what a container is to have, for its record. Throws ToyboxError where another has it. */
export function claimForContainer(
  wish: PortWish,
  { networks }: Pick<ContainerRequest, "networks">,
  paths: Paths,
  record: Pick<RunningRecord, "ports">,
): void {
  const binding = networks
    .map(({ network }) => findNetwork(paths, network))
    .find((network) => network?.internal === false)?.hostBinding
  // Of those whose toybox was killed nothing may be in the way.
  recover(paths)
  const { ports, fds } = claimPorts(bound(wantedPorts(wish), binding), (port, protocol) =>
    containerWith(paths, port, protocol),
  )
  const left = [...fds]
  record.ports = ports.map(({ protocol, address, host, container }) => ({
    protocol,
    address: address && formatIp(address),
    host,
    container,
    fd: protocol === "sctp" ? null : (left.shift() ?? null),
  }))
}

const others = (paths: Paths) => ({
  runs: (id: string) => readRunning(paths, id) !== null,
  nameOf: (id: string) => readHead(paths, id)?.name ?? id.slice(0, 12),
})

/** What the kernel has of ports of containers that run: as each has been given it. */
const publishedOnes = (paths: Paths): Published[] =>
  runningIds(paths).flatMap((id) => {
    const record = readRunning(paths, id)
    const endpoint = publishingEndpoint(paths, record?.networks ?? [])
    if (!record?.ports || !endpoint) return []
    const led = record.forwarded ? [] : ledTo(endpoint, record.ports)
    return [publication(id, led, endpoint, servedPorts(record))]
  })

const publication = (
  id: string,
  led: readonly HeldPort[],
  endpoint: Endpoint,
  served: readonly HeldPort[],
): Published => ({
  id,
  ports: publishedPorts(led),
  addresses: reachedAt(endpoint),
  served: publishedPorts(served),
})

/**
 * Leads the ports of all that run to them again, or of one: somebody has removed that, or the network that they were led to is left.
 * Throws ToyboxError.
 */
export function publishAgain(paths: Paths, only?: string): void {
  for (const published of hasNfTables() ? publishedOnes(paths) : [])
    if ((only ?? published.id) === published.id && !arePublished(published)) publish(published, others(paths))
}

/** The names of containers whose ports are not led to them any more. */
export const unledContainers = (paths: Paths): string[] =>
  publishedOnes(paths)
    .filter((published) => !arePublished(published))
    .map(({ id }) => others(paths).nameOf(id))

/**
 * The lines that lead a container's ports to it: claimed for a moment, so that one that is taken is told as a run would. A port
 * that any will do for is another one at the run. Throws ToyboxError.
 */
export async function explainPorts(
  request: ContainerRequest,
  wish: PortWish,
  paths: Paths,
  { id, places }: Pick<Live, "id" | "places">,
): Promise<string[]> {
  const record: Pick<RunningRecord, "ports"> = {}
  claimForContainer(wish, request, paths, record)
  const ports = record.ports ?? []
  closePorts(ports)
  const { endpoint, bridge } = publishingPlace(places)
  const obstacle = await obstacleOf(bridge)
  const led = obstacle === null ? ledTo(endpoint, ports) : []
  const forwarded = ports.filter((port) => !led.includes(port))
  const served = servedPorts({ ports, forwarded: obstacle !== null })
  const why = obstacle ?? "the kernel leads nothing from there to the container"
  return [
    ...describePublish(publication(id, led, endpoint, served)),
    ...(led.some((port) => served.includes(port))
      ? ["# what comes to them from ::1 a process of toybox's serves, when somebody comes"]
      : []),
    ...(forwarded.length > 0 ? [`# ${why}: a process of toybox's serves`] : []),
    ...forwarded.map(({ protocol, address, host, container }) => {
      const from = `${address === null ? "" : address.includes(":") ? `[${address}]:` : `${address}:`}${host}`
      return `#   ${from}/${protocol}, and carries it on to ${endpoint.ip}:${container}`
    }),
  ]
}

/** The place that ports are led to. Throws ToyboxError. */
function publishingPlace(places: readonly Place[]): Place {
  const place = places.find(({ bridge }) => !bridge.network.internal)
  if (place === undefined)
    throw new ToyboxError("-p: ports are not published from networks that are --internal", {
      hint: "leave -p out, or add a network that is not internal",
    })
  return place
}

/** Which ports the kernel leads to a container: not those of a family that it has no address of. */
const ledTo = ({ ip6 }: Pick<Endpoint, "ip6">, ports: readonly HeldPort[]): HeldPort[] =>
  ports.filter(
    ({ address }) => address === null || !address.includes(":") || (ip6 !== undefined && address !== LOOPBACK6),
  )

/** Where ports of a container that runs are led to; undefined where its networks are all internal. */
const publishingEndpoint = (paths: Paths, networks: readonly Endpoint[]): Endpoint | undefined =>
  networks.find(({ network }) => findNetwork(paths, network)?.internal === false)

/** The address that a process carries on to, of a container that runs; null where it has none. */
export function publishingAddress(paths: Paths, id: string): Uint8Array | null {
  const endpoint = publishingEndpoint(paths, readRunning(paths, id)?.networks ?? [])
  return endpoint ? parseIp(endpoint.ip) : null
}

/**
 * Leads claimed ports to a container that is connected: by the kernel, or where that is of no use, by a process, from when
 * somebody comes (doors.ts). Throws ToyboxError.
 */
export async function publishForContainer({ quiet }: ContainerRequest, paths: Paths, live: Live): Promise<void> {
  const { id, record, places, lock } = live
  const { ports = [] } = record
  const place = publishingPlace(places)
  const obstacle = await obstacleOf(place.bridge)
  if (obstacle !== null) {
    checkServed(ports)
    if (!quiet) notice(`${obstacle}: published ports go through a process of toybox's own`)
    record.forwarded = true
    updateRunning(lock, record)
  }
  const led = obstacle === null ? ledTo(place.endpoint, ports) : []
  const served = servedPorts(record)
  if (hasNfTables()) publish(publication(id, led, place.endpoint, served), others(paths))
  listenTo(served)
}

function checkServed(ports: readonly HeldPort[]): void {
  const other = ports.find(({ fd }) => fd === null)
  if (other)
    throw new ToyboxError(
      `-p: port ${other.host}/${other.protocol} cannot be published: only the kernel could lead it to the container`,
      { hint: "toybox doctor tells what it lacks" },
    )
}

// What comes from there is not led elsewhere by any kernel.
const LOOPBACK6 = "::1"

/** Why the kernel does not lead ports to containers; null where it does. */
async function obstacleOf({ network, index }: Bridge): Promise<string | null> {
  if (!hasNfTables()) return "the kernel has no nf_tables"
  const { obstaclesOf } = await import("../network/firewall/obstacles.ts")
  const { ports } = obstaclesOf({ ...network, index })
  return ports && `the firewall of this machine (${ports.tool}) drops what is forwarded to ${network.bridge}`
}

/**
 * A firewall of somebody else's may drop what comes from containers: that is told, with what it lacks, once for each network, as
 * long as it is the same.
 */
export async function warnOfDrops(paths: Paths, { network, index }: Bridge): Promise<void> {
  const { obstaclesOf } = await import("../network/firewall/obstacles.ts")
  const { outside, within, rules } = obstaclesOf({ ...network, index })
  const drop = outside ?? within
  const lost = outside
    ? "containers do not reach the outside before"
    : `containers of the network ${network.name} do not reach one another before`
  const told =
    drop === null
      ? ""
      : `the firewall of this machine (${drop.tool}) drops what is forwarded: ${lost}\n${rules.map((rule) => `  ${rule}`).join("\n")}`
  const path = toldPath(paths, network)
  if ((tryReadText(path) ?? "") === told) return
  writeAtOnce(path, new TextEncoder().encode(told))
  if (told !== "") notice(told)
}
