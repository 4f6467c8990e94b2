/** Published ports of a container: claimed before its start, led to it when it is connected, given back at its end. */
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
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
import { type Connected, closePorts, publishedPorts, reachedAt } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import type { FileLock } from "../state-file.ts"
import { type Look, lookOnce, obstacleTo } from "./foreign-firewalls.ts"
import { recover } from "./recover.ts"
import type { ContainerRequest } from "./request.ts"
import { type RunningRecord, readHead, readRunning, runningIds, updateRunning } from "./state.ts"
import { whileUp } from "./while-up.ts"

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

/** What publish asks about other containers. */
export const others = (paths: Paths) => ({
  runs: (id: string) => readRunning(paths, id) !== null,
  nameOf: (id: string) => readHead(paths, id)?.name ?? id.slice(0, 12),
})

/** What the kernel has of a running container's ports: as it has been given it; null where it is given none. */
export function publicationOf(paths: Paths, id: string, record: RunningRecord): Published | null {
  const endpoint = publishingEndpoint(paths, record.networks ?? [])
  return record.ports && endpoint ? publication(id, ledTo(endpoint, record), endpoint, servedPorts(record)) : null
}

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

/** Whether somebody has removed what the kernel is to have of a running container's ports. */
function isUnled(paths: Paths, id: string): boolean {
  const record = readRunning(paths, id)
  const published = record && publicationOf(paths, id, record)
  return published !== null && !arePublished(published)
}

/**
 * Leads the ports of a container that runs to it again: somebody has removed that, or the network that they were led to is left. Within
 * `up` of withContainer. Throws ToyboxError.
 */
export function publishAgain(paths: Paths, id: string): void {
  const record = readRunning(paths, id)
  const published = record && publicationOf(paths, id, record)
  if (published && hasNfTables() && !arePublished(published)) publish(published, others(paths))
}

/** The same of all that run but one, which the caller has in hand. Throws ToyboxError. */
export function publishAllAgain(paths: Paths, inHand?: string): void {
  if (!hasNfTables()) return
  // Of one that has just ended what is made again would stay.
  for (const id of runningIds(paths))
    if (id !== inHand && isUnled(paths, id)) whileUp(paths, id, () => publishAgain(paths, id))
}

/** The names of containers whose ports are not led to them any more. */
export const unledContainers = (paths: Paths): string[] =>
  runningIds(paths)
    .filter((id) => isUnled(paths, id))
    .map(others(paths).nameOf)

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
  const obstacle = obstacleTo(bridge, await lookOnce())
  const way = { ports, forwarded: obstacle !== null }
  const led = ledTo(endpoint, way)
  const forwarded = ports.filter((port) => !led.includes(port))
  const served = servedPorts(way)
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

/**
 * Which ports the kernel leads to a container: not those of a family that it has no address of, and where they are forwarded only
 * those that no process can.
 */
const ledTo = ({ ip6 }: Pick<Endpoint, "ip6">, { ports = [], forwarded }: Connected): HeldPort[] =>
  ports.filter(({ address, fd }) =>
    forwarded
      ? fd === null
      : address === null || !address.includes(":") || (ip6 !== undefined && address !== LOOPBACK6),
  )

/** Where ports of a container that runs are led to; undefined where its networks are all internal. */
export const publishingEndpoint = (paths: Paths, networks: readonly Endpoint[]): Endpoint | undefined =>
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
export function publishForContainer({ quiet }: ContainerRequest, paths: Paths, live: Live, look: Look): void {
  const { id, record, places, lock } = live
  const { ports = [] } = record
  const place = publishingPlace(places)
  const obstacle = obstacleTo(place.bridge, look)
  if (obstacle !== null) {
    checkServed(ports)
    if (!quiet) notice(`${obstacle}: published ports go through a process of toybox's own`)
    record.forwarded = true
    updateRunning(lock, record)
  }
  const published = publication(id, ledTo(place.endpoint, record), place.endpoint, servedPorts(record))
  if (hasNfTables()) publish(published, others(paths))
  // Also those that the kernel leads: it may cease to (move-ports.ts).
  listenTo(ports)
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
