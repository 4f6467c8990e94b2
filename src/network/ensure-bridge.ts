/** The link of a network, made when a container first needs it, with its rules and what it needs of the machine. */
import { exists } from "../../ffi/fs.ts"
import type { NetlinkSocket } from "../../ffi/netlink/socket.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { aliasOf, asFirewall, type Bridge, gatewaysOf } from "./bridge.ts"
import { ensureNetwork, hasNfTables } from "./firewall/index.ts"
import { ensureForwarding } from "./forwarding.ts"
import { leasesOf, type Network } from "./network.ts"
import { linkWithAddresses } from "./read.ts"

/** The bridge of a network, if it is there and nothing of it is missing. */
function wholeBridge(paths: Paths, network: Network, socket: NetlinkSocket): Bridge | null {
  if (!exists(leasesOf(paths, network))) return null
  const found = linkWithAddresses(socket, network.bridge, gatewaysOf(network))
  return found?.alias === aliasOf(network) ? { network, index: found.index, mtu: found.mtu } : null
}

/** Makes sure that a network is there as the kernel sees it. Throws ToyboxError, NoBridges, NetworkGone. */
export async function ensureBridge(
  paths: Paths,
  network: Network,
  socket: NetlinkSocket,
  quiet: boolean,
): Promise<Bridge> {
  const bridge =
    wholeBridge(paths, network, socket) ?? (await import("./make-bridge.ts")).makeBridge(paths, network, socket)
  ensureForwarding(paths, bridge.network, socket, quiet)
  try {
    ensureNetwork(asFirewall(bridge.network))
  } catch (error) {
    if (hasNfTables()) throw error
    if (!quiet)
      notice(`the kernel has no nf_tables: from the network ${network.name} nothing beyond this machine is reached`)
  }
  return bridge
}
