/** Who is on a network. */
import { DEFAULT_NETWORK } from "../network/default.ts"
import type { Endpoint } from "../network/endpoint.ts"
import { removeNetwork } from "../network/make-bridge.ts"
import { listNetworks, type Network } from "../network/network.ts"
import type { Paths } from "../paths.ts"
import { otherContainers } from "./network.ts"
import { readHead, readRunning, runningIds } from "./state.ts"

export interface NetworkUser {
  id: string
  name: string
  endpoint: Endpoint
}

/** The running containers of a network. */
export const networkUsers = (paths: Paths, { id: networkId }: Network): NetworkUser[] =>
  runningIds(paths).flatMap((id) =>
    (readRunning(paths, id)?.networks ?? [])
      .filter((endpoint) => endpoint.networkId === networkId)
      .map((endpoint) => ({ id, name: readHead(paths, id)?.name ?? id.slice(0, 12), endpoint })),
  )

/** Removes a network, unless running containers are on it: returns their names then. */
export const removeIfUnused = (paths: Paths, network: Network): string[] =>
  removeNetwork(paths, network, otherContainers(paths)).map((id) => readHead(paths, id)?.name ?? id.slice(0, 12))

/**
 * Removes the networks that no running container is on, of those that are chosen. Returns their names, without the default
 * one's, which comes back when it is needed.
 */
export const pruneNetworks = (paths: Paths, isChosen: (network: Network) => boolean): string[] =>
  listNetworks(paths)
    .filter((network) => isChosen(network) && removeIfUnused(paths, network).length === 0)
    .map(({ name }) => name)
    .filter((name) => name !== DEFAULT_NETWORK)
