/** The rules of networks are looked at, and what is missing of them is made: somebody may have flushed the ruleset. */
import { exists, tryReadText } from "../../ffi/fs.ts"
import type { NetlinkSocket } from "../../ffi/netlink/socket.ts"
import type { Paths } from "../paths.ts"
import { writeAtOnce } from "../state-file.ts"
import { aliasOf, asFarAs, asFirewall, gatewaysOf, guardedPath, seenPath } from "./bridge.ts"
import { isGuardLost } from "./firewall/guard.ts"
import { areWhole, ensureNetworks } from "./firewall/index.ts"
import { holdReports } from "./firewall/reports.ts"
import { generation, hasNfTables } from "./firewall/table.ts"
import { withNetworksLocked } from "./lock.ts"
import { listNetworks, type Network } from "./network.ts"
import { linkNamed, linkWithAddresses } from "./read.ts"

const ATTEMPTS = 10

/** Those whose link is there, as far as the link can have them. */
export const presentNetworks = (paths: Paths, socket: NetlinkSocket): Network[] =>
  listNetworks(paths).flatMap((network) => {
    const link = linkNamed(socket, network.bridge)
    return link?.alias === aliasOf(network) ? [asFarAs(network, link.mtu)] : []
  })

/** Makes what is missing of the rules of all networks whose links are there. Throws ToyboxError. */
export function ensureAll(paths: Paths, socket: NetlinkSocket): void {
  if (!hasNfTables()) return
  withNetworksLocked(paths, () => {
    const networks = presentNetworks(paths, socket)
    if (networks.length > 0) ensureNetworks(networks.map(asFirewall))
  })
}

/** Whether nothing is missing of a network whose link is there: neither addresses nor rules. */
export const isComplete = (network: Network, socket: NetlinkSocket): boolean =>
  linkWithAddresses(socket, network.bridge, gatewaysOf(network)) !== null &&
  (!hasNfTables() || areWhole([asFirewall(network)]))

/**
 * Makes sure that nothing is missing of what rules a network has, nor of those of others whose links are there, and remembers it,
 * until the rules are others. Where more was missing than what a new network needs, `mended` tells it. Throws ToyboxError.
 */
export function mendRules(paths: Paths, network: Network, socket: NetlinkSocket): { mended: boolean } {
  let mended = isGuardLost(guardedPath(paths))
  const isNew = tryReadText(seenPath(paths, network)) === null
  // One that nobody has looked at yet is just being made.
  const others = () =>
    presentNetworks(paths, socket).filter((other) => other.id !== network.id && exists(seenPath(paths, other)))
  holdReports()
  for (let attempt = 1; ; attempt++) {
    const before = generation()
    const all = [network, ...others()]
    if (areWhole(all.map(asFirewall)) || attempt === ATTEMPTS) {
      writeAtOnce(seenPath(paths, network), new TextEncoder().encode(String(before)))
      return { mended }
    }
    if (!isNew || (all.length > 1 && !areWhole(all.slice(1).map(asFirewall)))) mended = true
    // Those of a network that is just being removed would stay.
    withNetworksLocked(paths, () => ensureNetworks([network, ...(mended ? others() : [])].map(asFirewall)))
  }
}
