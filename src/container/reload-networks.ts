/** Networks that somebody else has removed parts of. */
import { withRoutes } from "../network/bridge.ts"
import { hasNfTables } from "../network/firewall/index.ts"
import { makeBridge } from "../network/make-bridge.ts"
import { ensureAll, isComplete, presentNetworks } from "../network/mend-rules.ts"
import type { Paths } from "../paths.ts"
import { areAllGuarded, guardAgain } from "./guard-places.ts"
import { publishAgain, unledContainers } from "./ports.ts"

/** Makes what is missing of what the containers that run have in the rules. Throws ToyboxError. */
export function mendContainers(paths: Paths): void {
  guardAgain(paths)
  publishAgain(paths)
}

/**
 * Makes what is missing of all networks whose links are there, and of what containers have of them. Returns their names. Throws
 * ToyboxError.
 */
export function reloadNetworks(paths: Paths): string[] {
  const networks = withRoutes((socket) =>
    presentNetworks(paths, socket).map((network) => makeBridge(paths, network, socket).network),
  )
  ensureAll(networks)
  mendContainers(paths)
  return networks.map(({ name }) => name)
}

/** The networks of which addresses or rules are missing, while their links are there, and the containers whose ports are. */
export function whatIsBroken(paths: Paths): string[] {
  const networks = withRoutes((socket) =>
    presentNetworks(paths, socket).filter((network) => !isComplete(network, socket)),
  )
  const containers = networks.length > 0 || !hasNfTables() ? [] : unledContainers(paths)
  return [
    ...networks.map(({ name }) => `addresses or rules of the network ${name}`),
    ...containers.map((name) => `published ports of the container ${name}`),
    ...(areAllGuarded(paths) ? [] : ["what keeps containers with NET_ADMIN or NET_RAW from others' addresses"]),
  ]
}
