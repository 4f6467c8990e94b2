/** Networks of containers that are there already: `network connect` and `disconnect`. */
import { ToyboxError } from "../errors.ts"
import { ensureBridge, withRoutes } from "../network/bridge.ts"
import type { EndpointWish } from "../network/default.ts"
import { connect, disconnect, type Endpoint, newLinkName, takePlace } from "../network/endpoint.ts"
import { leavePlaces } from "../network/leases.ts"
import { findNetwork, type Network, networkNamed } from "../network/network.ts"
import { unpublishPorts } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { tellNeighbours } from "./neighbours.ts"
import { otherContainers } from "./network.ts"
import { type RunningRecord, readRecord } from "./state.ts"
import { changeRunning, changeStored, withContainer } from "./with-container.ts"

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

function plug(paths: Paths, network: Network, wish: EndpointWish, id: string, record: RunningRecord): void {
  const { networks = [] } = record
  withRoutes((socket) => {
    const bridge = ensureBridge(paths, network, socket, false)
    const taking = { id, position: firstFree(networks), others: otherContainers(paths) }
    const endpoint = { ...takePlace(paths, bridge.network, wish, taking), link: newLinkName() }
    const leads = !bridge.network.internal && networks.every((other) => isInternal(paths, other))
    try {
      connect(
        record.pid,
        [{ endpoint, bridge, hairpin: record.ports !== undefined }],
        leads ? endpoint : undefined,
        socket,
      )
    } catch (error) {
      leavePlaces(paths.networkRun, id, [endpoint])
      throw error
    }
    changeRunning(paths, id, { ...record, networks: [...networks, endpoint] })
    tellNeighbours(paths, [endpoint])
  })
}

/** Connects a container, which may run, to one more network. Throws ToyboxError. */
export function connectContainer(paths: Paths, wish: EndpointWish, reference: string): void {
  const network = networkNamed(paths, wish.network)
  const named = { ...wish, network: network.name }
  const keep = (id: string) => {
    checkOwn(paths, id, reference)
    keepWishes(paths, id, (wishes) => {
      if (wishes.some((other) => other.network === network.name))
        throw new ToyboxError(`container ${reference} is in the network ${network.name} already`)
      return [...wishes, named]
    })
  }
  withContainer(paths, reference, {
    up: (id, record) => {
      keep(id)
      try {
        plug(paths, network, named, id, record)
      } catch (error) {
        keepWishes(paths, id, (wishes) => wishes.filter((other) => other.network !== network.name))
        throw error
      }
    },
    down: keep,
  })
}

/** Takes a container, which may run, out of a network. Throws ToyboxError where it is not in it, unless `force`. */
export function disconnectContainer(paths: Paths, name: string, reference: string, force: boolean): void {
  const network = networkNamed(paths, name)
  const keep = (id: string) => {
    keepWishes(paths, id, (wishes) => {
      const left = wishes.filter((other) => other.network !== network.name)
      if (left.length === wishes.length && !force)
        throw new ToyboxError(`container ${reference} is not in the network ${network.name}`)
      return left
    })
  }
  withContainer(paths, reference, {
    up: (id, record) => {
      keep(id)
      const { networks = [] } = record
      const gone = networks.filter((endpoint) => endpoint.networkId === network.id)
      const left = networks.filter((endpoint) => endpoint.networkId !== network.id)
      const next = left.find((endpoint) => !isInternal(paths, endpoint))
      withRoutes((socket) => {
        for (const endpoint of gone) disconnect(record.pid, endpoint, next, socket)
      })
      if (record.ports) unpublishPorts(id, record.ports, gone)
      changeRunning(paths, id, { ...record, networks: left })
      leavePlaces(paths.networkRun, id, gone)
      tellNeighbours(paths, gone, id)
    },
    down: keep,
  })
}
