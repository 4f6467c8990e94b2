/** The link of a network, made when a container first needs it, with its rules and what it needs of the machine. */
import { SyscallError } from "../../ffi/errno.ts"
import { exists, tryReadText } from "../../ffi/fs.ts"
import type { NetlinkSocket } from "../../ffi/netlink/socket.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { aliasOf, type Bridge, gatewaysOf, seenPath } from "./bridge.ts"
import { generation } from "./firewall/table.ts"
import { ensureForwarding } from "./forwarding.ts"
import { leasesOf, type Network } from "./network.ts"
import { linkWithAddresses } from "./read.ts"

/** The bridge of a network, if it is there and nothing of it is missing. */
function wholeBridge(paths: Paths, network: Network, socket: NetlinkSocket): Bridge | null {
  if (!exists(leasesOf(paths, network))) return null
  const found = linkWithAddresses(socket, network.bridge, gatewaysOf(network))
  return found?.alias === aliasOf(network) ? { network, index: found.index, mtu: found.mtu } : null
}

/** Whether the rules of this machine are as they were when they were last looked at, and nothing was missing. Null without any. */
function areAsSeen(paths: Paths, network: Network): boolean | null {
  try {
    return tryReadText(seenPath(paths, network)) === String(generation())
  } catch (error) {
    if (error instanceof SyscallError) return null
    throw error
  }
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
  const asSeen = areAsSeen(paths, network)
  if (asSeen === null && !quiet)
    notice(`the kernel has no nf_tables: from the network ${network.name} nothing beyond this machine is reached`)
  // One that has just been made is known to no rules.
  if (asSeen === null || (asSeen && !bridge.changed)) return bridge
  const { mended } = (await import("./mend-rules.ts")).mendRules(paths, bridge.network, socket)
  return { ...bridge, changed: true, ...(mended ? { mended } : {}) }
}
