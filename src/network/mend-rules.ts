/** The rules of networks are looked at, and what is missing of them is made: somebody may have flushed the ruleset. */
import { tryReadText } from "../../ffi/fs.ts"
import type { NetlinkSocket } from "../../ffi/netlink/socket.ts"
import type { Paths } from "../paths.ts"
import { writeAtOnce } from "../state-file.ts"
import { aliasOf, asFarAs, asFirewall, gatewaysOf, guardedPath, seenPath } from "./bridge.ts"
import { isGuardLost } from "./firewall/guard.ts"
import { areWhole, ensureNetworks } from "./firewall/index.ts"
import { holdReports } from "./firewall/reports.ts"
import { generation, hasNfTables } from "./firewall/table.ts"
import { listNetworks, type Network } from "./network.ts"
import { allLinks, linkWithAddresses } from "./read.ts"

const ATTEMPTS = 10

/** Those whose link is there, as far as the link can have them. */
export function presentNetworks(paths: Paths, socket: NetlinkSocket): Network[] {
  const links = new Map(allLinks(socket).map((link) => [link.alias, link]))
  return listNetworks(paths).flatMap((network) => {
    const link = links.get(aliasOf(network))
    return link ? [asFarAs(network, link.mtu)] : []
  })
}

/** Makes what is missing of the rules of networks. Throws ToyboxError. */
export function ensureAll(networks: readonly Network[]): void {
  if (networks.length > 0 && hasNfTables()) ensureNetworks(networks.map(asFirewall))
}

/** Whether nothing is missing of a network whose link is there: neither addresses nor rules. */
export const isComplete = (network: Network, socket: NetlinkSocket): boolean =>
  linkWithAddresses(socket, network.bridge, gatewaysOf(network)) !== null &&
  (!hasNfTables() || areWhole([asFirewall(network)]))

/**
 * Makes sure that nothing is missing of what rules a network has, and remembers it, until the rules are others. Where more was
 * missing than what a new network needs, all networks whose links are there get theirs back: `mended`. Throws ToyboxError.
 */
export function mendRules(paths: Paths, network: Network, socket: NetlinkSocket): { mended: boolean } {
  let mended = isGuardLost(guardedPath(paths))
  const isNew = tryReadText(seenPath(paths, network)) === null
  holdReports()
  for (let attempt = 1; ; attempt++) {
    const before = generation()
    if (areWhole([asFirewall(network)]) || attempt === ATTEMPTS) {
      writeAtOnce(seenPath(paths, network), new TextEncoder().encode(String(before)))
      return { mended }
    }
    const others = presentNetworks(paths, socket).filter(({ id }) => id !== network.id)
    if (!isNew || (others.length > 0 && !areWhole(others.map(asFirewall)))) mended = true
    ensureNetworks([network, ...(mended ? others : [])].map(asFirewall))
  }
}
