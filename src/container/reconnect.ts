/** Networks of containers that are there already: `network connect` and `disconnect`. */
import { NETLINK_ROUTE } from "../../ffi/constants/netlink.ts"
import { closeNetlink, openNetlink } from "../../ffi/netlink/socket.ts"
import { ToyboxError } from "../errors.ts"
import { recordThings } from "../event-file.ts"
import { withRoutes } from "../network/bridge.ts"
import { connect, disconnect } from "../network/connect.ts"
import type { EndpointWish } from "../network/default.ts"
import { type Endpoint, newLinkName } from "../network/endpoint.ts"
import { leavePlaces, releaseAll } from "../network/leases.ts"
import { lockPlaces } from "../network/lock.ts"
import { findNetwork, leasesOf, networkNamed } from "../network/network.ts"
import { unpublishPorts } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { releaseLock } from "../state-file.ts"
import { placeEvent } from "./events.ts"
import { guardPlaces, unguardPlaces } from "./guard-places.ts"
import { tellNeighbours } from "./neighbours.ts"
import { keptBy, takePlaceIn, wantsIpv6 } from "./network.ts"
import { publishAgain } from "./ports.ts"
import { isSharedByForger } from "./shared-mark.ts"
import { type RunningRecord, readRecord } from "./state.ts"
import { readStored } from "./stored-request.ts"
import { changeRunning } from "./while-up.ts"
import { changeStored, withContainer } from "./with-container.ts"

/** Writes down in which networks a container is to be from its next start on. */
const keepWishes = (paths: Paths, id: string, change: (wishes: readonly EndpointWish[]) => EndpointWish[]): void =>
  changeStored(paths, id, (record, stored) => [record, { ...stored, networks: change(stored.networks) }])

/** Throws where a container has no network namespace of its own. */
function checkOwn(paths: Paths, id: string, reference: string): void {
  const namespace = readRecord(paths, id)?.spec.linux.namespaces.find(({ type }) => type === "network")
  if (!namespace || namespace.path !== undefined)
    throw new ToyboxError(`container ${reference} shares the network of ${namespace ? "another" : "the machine"}`)
}

const firstFree = (endpoints: readonly Endpoint[]): number => {
  const taken = new Set(endpoints.map((endpoint) => endpoint.interface))
  let position = 0
  while (taken.has(`eth${position}`)) position++
  return position
}

const isInternal = (paths: Paths, { network }: Endpoint) => findNetwork(paths, network)?.internal ?? false

/**
 * Takes a running container out of places: their links, their ports, and what is written down of them. What is there of a place
 * that another toybox was killed over may be less than that.
 */
function unplug(paths: Paths, id: string, record: RunningRecord, gone: readonly Endpoint[]): RunningRecord {
  const networks = (record.networks ?? []).filter((endpoint) => !gone.includes(endpoint))
  const left = { ...record, networks }
  withRoutes((socket) => {
    const next = networks.find((endpoint) => !isInternal(paths, endpoint))
    for (const endpoint of gone) disconnect(record.pid, endpoint, { keeps: networks, next }, socket)
  })
  if (isSharedByForger(paths, id) || gone.some(({ guarded }) => guarded)) unguardPlaces(paths, gone)
  if (record.ports) unpublishPorts(id, record.ports, gone)
  changeRunning(paths, id, left)
  leavePlaces(paths.networkRun, id, gone)
  // To another network that it is in.
  if (record.ports) publishAgain(paths, id)
  return left
}

async function plug(paths: Paths, wish: EndpointWish, id: string, record: RunningRecord): Promise<void> {
  const { networks = [] } = record
  const socket = openNetlink(NETLINK_ROUTE)
  try {
    const position = firstFree(networks)
    const { process } = readStored(paths, id, record.name)
    const six = wantsIpv6(process, position)
    const place = await takePlaceIn(
      paths,
      wish,
      { id, position, six, kept: isSharedByForger(paths, id) ? { guarded: true } : keptBy(process) },
      { socket, quiet: false },
    )
    const endpoint: Endpoint = { ...place.endpoint, link: newLinkName() }
    const more = { ...record, networks: [...networks, endpoint] }
    // First: whoever puts in order what a killed toybox has left must know.
    changeRunning(paths, id, more)
    if (endpoint.guarded) guardPlaces(paths, [endpoint], false)
    const { bridge } = place
    const leads = !bridge.network.internal && networks.every((other) => isInternal(paths, other))
    try {
      const hairpin = record.ports !== undefined
      connect(record.pid, [{ endpoint, bridge, hairpin }], leads ? endpoint : undefined, socket, networks)
    } catch (error) {
      unplug(paths, id, more, [endpoint])
      throw error
    }
    recordThings(paths, placeEvent("connect", id, endpoint))
    tellNeighbours(paths, [endpoint])
    if (record.ports) publishAgain(paths, id)
  } finally {
    closeNetlink(socket)
  }
}

/** Has one process at a time change in which networks containers are. */
async function withPlacesLocked<T>(paths: Paths, action: () => T): Promise<Awaited<T>> {
  const lock = lockPlaces(paths)
  try {
    return await action()
  } finally {
    releaseLock(lock)
  }
}

/** Connects a container, which may run, to one more network. Throws ToyboxError. */
export async function connectContainer(paths: Paths, wish: EndpointWish, reference: string): Promise<void> {
  const network = networkNamed(paths, wish.network)
  const named = { ...wish, network: network.name }
  const check = (id: string) => {
    checkOwn(paths, id, reference)
    const { networks } = readStored(paths, id, reference)
    if (networks.some((other) => other.network === network.name))
      throw new ToyboxError(`container ${reference} is in the network ${network.name} already`)
  }
  const keep = (id: string) => keepWishes(paths, id, (wishes) => [...wishes, named])
  await withPlacesLocked(paths, () =>
    withContainer(paths, reference, {
      up: async (id, record) => {
        check(id)
        // Of a toybox that was killed before it had done.
        const half = (record.networks ?? []).filter(({ networkId }) => networkId === network.id)
        const whole = half.length === 0 ? record : unplug(paths, id, record, half)
        releaseAll(leasesOf(paths, network), id)
        await plug(paths, named, id, whole)
        keep(id)
      },
      down: async (id) => {
        check(id)
        keep(id)
      },
    }),
  )
}

/** Takes a container, which may run, out of a network. Throws ToyboxError where it is not in it, unless `force`. */
export async function disconnectContainer(
  paths: Paths,
  name: string,
  reference: string,
  force: boolean,
): Promise<void> {
  const network = networkNamed(paths, name)
  const keep = (id: string, isThere: boolean) =>
    keepWishes(paths, id, (wishes) => {
      const left = wishes.filter((other) => other.network !== network.name)
      if (left.length === wishes.length && !isThere && !force)
        throw new ToyboxError(`container ${reference} is not in the network ${network.name}`)
      return left
    })
  await withPlacesLocked(paths, () =>
    withContainer(paths, reference, {
      up: (id, record) => {
        const gone = (record.networks ?? []).filter(({ networkId }) => networkId === network.id)
        keep(id, gone.length > 0)
        unplug(paths, id, record, gone)
        recordThings(paths, ...gone.map((endpoint) => placeEvent("disconnect", id, endpoint)))
        tellNeighbours(paths, gone, id)
      },
      down: (id) => keep(id, false),
    }),
  )
}
