/** The link of a network is made, mended, and removed. */

import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { exists, mkdir, rename, tryReadText, unlink, writeText } from "../../ffi/fs.ts"
import { type NetlinkSocket, request } from "../../ffi/netlink/socket.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { removeHalfWritten, writeAtOnce } from "../state-file.ts"
import {
  aliasOf,
  asFarAs,
  asFirewall,
  type Bridge,
  barredPath,
  DEFAULT_MTU,
  guardedPath,
  NetworkGone,
  NoBridges,
  OURS,
  seenPath,
  toldPath,
  withRoutes,
} from "./bridge.ts"
import { unguardAll } from "./firewall/guard.ts"
import { hasNfTables, hasTables, removeNetwork as removeRules } from "./firewall/index.ts"
import { letReportsGo } from "./firewall/reports.ts"
import { restoreForwarding } from "./forwarding.ts"
import { type Containers, holdersOf } from "./leases.ts"
import { describeLink, type LinkStep, linkMessage } from "./links.ts"
import { withNetworksLocked } from "./lock.ts"
import { settleSubnet } from "./make-network.ts"
import { addressOf, cidrOf, findNetwork, forgetNetwork, leasesOf, listNetworks, type Network } from "./network.ts"
import { defaultMtu, type Link, linkNamed, routes } from "./read.ts"

/** The same each time it is made: neighbours may remember it. Unicast, and administered locally. */
function macOf({ id }: Network): Uint8Array {
  const bytes = Uint8Array.fromHex(id.slice(0, 12))
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return bytes
}

const newBridge = (network: Network): LinkStep => ({ kind: "bridge", name: network.bridge, mac: macOf(network) })

function addressSteps({ bridge, gateway, gateway6, subnet, subnet6 }: Network, index: number): LinkStep[] {
  const link = { name: bridge, index }
  return [
    { ip: addressOf(gateway), prefix: cidrOf(subnet).prefix },
    ...(gateway6 && subnet6 ? [{ ip: addressOf(gateway6), prefix: cidrOf(subnet6).prefix }] : []),
  ].map((address) => ({ kind: "address", link, address }))
}

/** The lines of ip(8) that make a network's bridge. */
export const describeBridge = (network: Network, mtu: number): string[] => [
  describeLink(newBridge(network)),
  `echo 0 >${acceptRouters(network)}`,
  ...[
    { kind: "mtu", name: network.bridge, mtu } as const,
    ...addressSteps(network, 0),
    { kind: "alias", name: network.bridge, alias: aliasOf(network) } as const,
  ].map(describeLink),
]

const acceptRouters = ({ bridge }: Network) => `/proc/sys/net/ipv6/conf/${bridge}/accept_ra`

/** In bytes, of a link that is to be made. */
export const mtuFor = (network: Network, socket: NetlinkSocket): number =>
  network.mtu ?? defaultMtu(socket, routes(socket)) ?? DEFAULT_MTU

// Names the link that is being made: until it is whole nothing else tells that it is ours.
const makingPath = (paths: Paths) => `${paths.networkRun}/making`

const isHalfMade = (paths: Paths, { bridge }: Network) => tryReadText(makingPath(paths)) === bridge

/** Our half-made one of a killed toybox, or one of a state directory that is gone, makes way; another's is an error. */
function clearWay(paths: Paths, socket: NetlinkSocket, network: Network, found: Link): void {
  const { bridge, name } = network
  const ours = found.type === "bridge" && (isHalfMade(paths, network) || found.alias?.startsWith(OURS))
  const used = listDir(`/sys/class/net/${bridge}/brif`).length > 0
  if (!ours || used)
    throw new ToyboxError(`the link ${bridge}, which the network ${name} needs, is there and not this toybox's`, {
      hint: `if nothing uses it: ip link delete ${bridge}`,
    })
  request(socket, linkMessage({ kind: "delete", name: bridge }))
}

/** No container is to give this machine routes: CVE-2020-13401. Before the link is up, with which this goes. */
function refuseRouters(network: Network): void {
  const path = acceptRouters(network)
  if (tryReadText(path) !== null) writeText(path, "0")
}

/** Adds what is missing of it; what is there is no error. */
function addAddresses(network: Network, index: number, socket: NetlinkSocket): void {
  for (const step of addressSteps(network, index)) {
    try {
      request(socket, linkMessage(step))
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error
    }
  }
}

function addBridge(paths: Paths, network: Network, socket: NetlinkSocket): Bridge {
  writeAtOnce(makingPath(paths), new TextEncoder().encode(network.bridge))
  const mtu = mtuFor(network, socket)
  try {
    request(socket, linkMessage(newBridge(network)))
  } catch (error) {
    if (!isErrno(error, "EOPNOTSUPP")) throw error
    throw new NoBridges("the kernel has no bridges (CONFIG_BRIDGE)", { hint: "use --net none or --net host" })
  }
  refuseRouters(network)
  const able = asFarAs(network, mtu)
  const index = linkNamed(socket, network.bridge)?.index ?? 0
  request(socket, linkMessage({ kind: "mtu", name: network.bridge, mtu }))
  addAddresses(able, index, socket)
  // Last, and by itself: the mark that it is whole.
  request(socket, linkMessage({ kind: "alias", name: network.bridge, alias: aliasOf(network) }))
  unlink(makingPath(paths))
  return { network: able, index, mtu, changed: true }
}

// While a network is removed, its addresses are set aside, so that nobody takes one any more.
const asideOf = (paths: Paths, network: Network) => `${leasesOf(paths, network)}.removed`

/** Addresses can be taken from here on. Those that a killed toybox has set aside are still somebody's. */
function openLeases(paths: Paths, network: Network): void {
  const aside = asideOf(paths, network)
  if (exists(aside)) rename(aside, leasesOf(paths, network))
  else mkdir(leasesOf(paths, network), 0o700)
}

/** Makes the bridge of a network, or what is missing of it. Throws ToyboxError, NoBridges, NetworkGone. */
export function makeBridge(paths: Paths, wanted: Network, socket: NetlinkSocket): Bridge {
  return withNetworksLocked(paths, () => {
    // It may have been made, changed or removed while this toybox waited.
    const kept = findNetwork(paths, wanted.name)
    if (kept?.id !== wanted.id) throw new NetworkGone(wanted)
    openLeases(paths, kept)
    const there = linkNamed(socket, kept.bridge)
    if (there?.alias === aliasOf(kept)) {
      const { index, mtu } = there
      const network = asFarAs(kept, mtu)
      request(socket, linkMessage({ kind: "up", name: kept.bridge }))
      addAddresses(network, index, socket)
      return { network, index, mtu }
    }
    if (there) clearWay(paths, socket, kept, there)
    return addBridge(paths, settleSubnet(paths, kept), socket)
  })
}

/**
 * Removes a network with its link and rules, and with the last one what was changed of the machine; unless containers that run
 * have addresses in it. Returns their ids.
 */
export function removeNetwork(paths: Paths, wanted: Network, containers: Containers): string[] {
  return withNetworksLocked(paths, () => {
    const network = findNetwork(paths, wanted.name)
    // Another has removed it meanwhile, and a start may have made one of its name.
    if (network?.id !== wanted.id) return []
    const [leases, aside] = [leasesOf(paths, network), asideOf(paths, network)]
    if (exists(leases)) rename(leases, aside)
    const holders = holdersOf(aside).filter((id) => containers.runs(id))
    if (holders.length > 0) {
      rename(aside, leases)
      return holders
    }
    withRoutes((socket) => {
      const found = linkNamed(socket, network.bridge)
      if (found && (found.alias === aliasOf(network) || isHalfMade(paths, network)))
        request(socket, linkMessage({ kind: "delete", name: network.bridge }))
    })
    if (isHalfMade(paths, network)) unlink(makingPath(paths))
    removeNetworkRules(paths, network)
    removeTree(aside)
    for (const directory of [paths.networks, paths.networkRun])
      for (const name of listDir(directory)) removeHalfWritten(`${directory}/${name}`)
    if (listNetworks(paths).every(({ id }) => id === network.id))
      withRoutes((socket) => restoreForwarding(paths, socket))
    forgetNetwork(paths, network)
    return []
  })
}

/** Removes the rules of a network that is gone, or going, and what is remembered of them. */
export function removeNetworkRules(paths: Paths, network: Network): void {
  for (const pathOf of [seenPath, toldPath, barredPath]) unlink(pathOf(paths, network))
  if (!hasNfTables()) return
  removeRules(asFirewall(network))
  if (hasTables()) return
  unguardAll(guardedPath(paths))
  letReportsGo()
}
