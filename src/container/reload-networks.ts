/** Networks that somebody else has removed parts of. */
import { withRoutes } from "../network/bridge.ts"
import { hasNfTables } from "../network/firewall/index.ts"
import { makeBridge } from "../network/make-bridge.ts"
import { ensureAll, isComplete, presentNetworks } from "../network/mend-rules.ts"
import { linkNamed } from "../network/read.ts"
import type { Paths } from "../paths.ts"
import { type Look, lookOnce } from "./foreign-firewalls.ts"
import { areAllGuarded, guardAgain } from "./guard-places.ts"
import { misledContainers, movePorts } from "./move-ports.ts"
import { publishAllAgain, unledContainers } from "./ports.ts"

/** Makes what is missing of what the containers that run have in the rules, but of one that is in hand. Throws ToyboxError. */
export function mendContainers(paths: Paths, inHand?: string): void {
  guardAgain(paths)
  publishAllAgain(paths, inHand)
}

/**
 * Makes what is missing of all networks whose links are there, and of what containers have of them, whose ports go round another's
 * firewall where they have to. Returns their names. Throws ToyboxError.
 */
export async function reloadNetworks(paths: Paths): Promise<string[]> {
  const bridges = withRoutes((socket) => {
    const made = presentNetworks(paths, socket).map((network) => makeBridge(paths, network, socket))
    ensureAll(paths, socket)
    return made
  })
  movePorts(paths, bridges, await lookOnce(), false)
  mendContainers(paths)
  return bridges.map(({ network }) => network.name)
}

/**
 * The networks of which addresses or rules are missing, while their links are there, and the containers whose ports are, or whose
 * ports a firewall that came later has cut off.
 */
export function whatIsBroken(paths: Paths, look: Look): string[] {
  const [networks, broken] = withRoutes((socket) => {
    const present = presentNetworks(paths, socket)
    const bridges = present.map((network) => ({ network, index: linkNamed(socket, network.bridge)?.index ?? 0 }))
    return [bridges, present.filter((network) => !isComplete(network, socket))]
  })
  const containers =
    broken.length > 0 || !hasNfTables() ? [] : [...unledContainers(paths), ...misledContainers(paths, networks, look)]
  return [
    ...broken.map(({ name }) => `addresses or rules of the network ${name}`),
    ...[...new Set(containers)].map((name) => `published ports of the container ${name}`),
    ...(areAllGuarded(paths) ? [] : ["what keeps containers with NET_ADMIN or NET_RAW from others' addresses"]),
  ]
}
