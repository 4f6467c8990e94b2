/** The link of a network: a bridge, made when a container first needs it, with its rules and what it needs of the machine. */
import { NETLINK_ROUTE } from "../../ffi/constants/netlink.ts"
import { isErrno } from "../../ffi/errno.ts"
import { listDir, mkdir, tryReadText, unlink, writeText } from "../../ffi/fs.ts"
import { closeNetlink, type NetlinkSocket, openNetlink, request } from "../../ffi/netlink/socket.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { readJson, writeAtOnce } from "../state-file.ts"
import { ensureNetwork, type FirewallNetwork, hasNfTables, removeNetwork as removeRules } from "./firewall/index.ts"
import { describeLink, formatCidr, type LinkStep, linkMessage } from "./links.ts"
import { withNetworksLocked } from "./lock.ts"
import { settleSubnet } from "./make-network.ts"
import { addressOf, cidrOf, forgetNetwork, leasesOf, listNetworks, type Network, subnetsOf } from "./network.ts"
import { defaultMtu, type Link, linkNamed, routes } from "./read.ts"

/** A bridge that is there. */
export interface Bridge {
  network: Network
  index: number
  /** In bytes. */
  mtu: number
  /** It has just been made. */
  fresh?: true
}

/** In bytes, where no default route tells: Ethernet's. */
export const DEFAULT_MTU = 1500
const OURS = "toybox network "

const aliasOf = ({ id }: Network) => `${OURS}${id}`

/** Carries out something with an rtnetlink(7) socket of this process's network namespace. */
export function withRoutes<T>(use: (socket: NetlinkSocket) => T): T {
  const socket = openNetlink(NETLINK_ROUTE)
  try {
    return use(socket)
  } finally {
    closeNetlink(socket)
  }
}

const asFirewall = (network: Network): FirewallNetwork => ({ ...network, subnets: subnetsOf(network) })

/** The same each time it is made: neighbours may remember it. Unicast, and administered locally. */
function macOf({ id }: Network): Uint8Array {
  const bytes = Uint8Array.fromHex(id.slice(0, 12))
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return bytes
}

/** What makes the bridge, its addresses, and last the mark that it is whole. */
function bridgeSteps(network: Network, mtu: number, index: number): readonly [LinkStep, readonly LinkStep[]] {
  const { bridge, gateway, gateway6, subnet, subnet6 } = network
  const link = { name: bridge, index }
  const addresses = [
    { ip: addressOf(gateway), prefix: cidrOf(subnet).prefix },
    ...(gateway6 && subnet6 ? [{ ip: addressOf(gateway6), prefix: cidrOf(subnet6).prefix }] : []),
  ]
  return [
    { kind: "bridge", name: bridge, mac: macOf(network) },
    [
      { kind: "mtu", name: bridge, mtu },
      ...addresses.map((address): LinkStep => ({ kind: "address", link, address })),
      { kind: "alias", name: bridge, alias: aliasOf(network) },
    ],
  ]
}

/** The lines of ip(8) that make a network's bridge. */
export function describeBridge(network: Network): string[] {
  const [first, more] = bridgeSteps(network, network.mtu ?? DEFAULT_MTU, 0)
  return [first, ...more].map(describeLink)
}

const mtuFor = (network: Network, socket: NetlinkSocket) =>
  network.mtu ?? defaultMtu(socket, routes(socket)) ?? DEFAULT_MTU

/** Our half-made one of a killed toybox, or one of a state directory that is gone, makes way; another's is an error. */
function clearWay(paths: Paths, socket: NetlinkSocket, { bridge, name }: Network, found: Link): void {
  const halfMade = tryReadText(`${paths.networkRun}/making`) === bridge
  const ours = found.type === "bridge" && (halfMade || found.alias?.startsWith(OURS))
  const used = listDir(`/sys/class/net/${bridge}/brif`).length > 0
  if (!ours || used)
    throw new ToyboxError(`the link ${bridge}, which the network ${name} needs, is there and not this toybox's`, {
      hint: `if nothing uses it: ip link delete ${bridge}`,
    })
  request(socket, linkMessage({ kind: "delete", name: bridge }))
}

function makeBridge(paths: Paths, wanted: Network, socket: NetlinkSocket): Bridge {
  return withNetworksLocked(paths, () => {
    // It may have been made, or removed, while this toybox waited.
    const there = linkNamed(socket, wanted.bridge)
    if (there?.alias === aliasOf(wanted)) return { network: wanted, index: there.index, mtu: there.mtu }
    if (there) clearWay(paths, socket, wanted, there)
    const network = settleSubnet(paths, wanted)
    writeAtOnce(`${paths.networkRun}/making`, new TextEncoder().encode(network.bridge))
    const mtu = mtuFor(network, socket)
    const [first] = bridgeSteps(network, mtu, 0)
    try {
      request(socket, linkMessage(first))
    } catch (error) {
      if (!isErrno(error, "EOPNOTSUPP")) throw error
      throw new NoBridges("the kernel has no bridges (CONFIG_BRIDGE)", { hint: "use --net none or --net host" })
    }
    refuseRouters(network)
    const index = linkNamed(socket, network.bridge)?.index ?? 0
    request(socket, ...bridgeSteps(network, mtu, index)[1].map(linkMessage))
    unlink(`${paths.networkRun}/making`)
    return { network, index, mtu, fresh: true }
  })
}

/** No container is to give this machine routes: CVE-2020-13401. Before the link is up, with which this goes. */
function refuseRouters({ bridge }: Network): void {
  const path = `${CONF6}/${bridge}/accept_ra`
  if (tryReadText(path) !== null) writeText(path, "0")
}

/** This kernel cannot do networks of containers. */
export class NoBridges extends ToyboxError {}

const FORWARD4 = "/proc/sys/net/ipv4/ip_forward"
const CONF6 = "/proc/sys/net/ipv6/conf"

/** What was changed of the machine, to be put back with the last network. */
type Sysctls = Record<string, string>

const sysctlsPath = (paths: Paths) => `${paths.networkRun}/sysctls.json`

/**
 * Settings that forwarding needs: those that are not so yet. A machine that forwards takes no IPv6 routes from its routers,
 * unless told to (accept_ra 2): it keeps those that it lives by. ip-sysctl.rst.
 */
function missingSysctls({ internal, subnet6 }: Network): readonly (readonly [string, string])[] {
  if (internal) return []
  const is = (path: string, value: string) => tryReadText(path)?.trim() === value
  const four = is(FORWARD4, "0") ? ([[FORWARD4, "1"]] as const) : []
  const all = `${CONF6}/all/forwarding`
  if (subnet6 === null || !is(all, "0")) return four
  const listening = listDir(CONF6)
    .map((link) => `${CONF6}/${link}/accept_ra`)
    .filter((path) => is(path, "1"))
  return [...four, ...listening.map((path) => [path, "2"] as const), [all, "1"]]
}

function setSysctls(paths: Paths, network: Network, quiet: boolean): void {
  if (missingSysctls(network).length === 0) return
  withNetworksLocked(paths, () => {
    const wanted = missingSysctls(network)
    const before = readJson<Sysctls>(sysctlsPath(paths)) ?? {}
    for (const [path] of wanted) before[path] ??= tryReadText(path)?.trim() ?? ""
    // First: whoever puts them back must know.
    writeAtOnce(sysctlsPath(paths), new TextEncoder().encode(JSON.stringify(before)))
    for (const [path, value] of wanted) {
      try {
        writeText(path, value)
      } catch (error) {
        throw new ToyboxError(`the network ${network.name} needs ${path} to be ${value}, and it cannot be set`, {
          hint: "use --net none or --net host",
          cause: error,
        })
      }
    }
    const forwarding = wanted
      .map(([path]) => path)
      .filter((path) => path.endsWith("forward") || path.endsWith("forwarding"))
    if (!quiet && forwarding.length > 0)
      notice(`this machine forwards packets from now on, for the network ${network.name} (${forwarding.join(", ")})`)
  })
}

/** Makes sure that a network is there as the kernel sees it. Throws ToyboxError, NoBridges. */
export function ensureBridge(paths: Paths, network: Network, socket: NetlinkSocket, quiet: boolean): Bridge {
  const found = linkNamed(socket, network.bridge)
  const bridge =
    found?.alias === aliasOf(network)
      ? { network, index: found.index, mtu: found.mtu }
      : makeBridge(paths, network, socket)
  mkdir(paths.networkRun, 0o700)
  mkdir(leasesOf(paths, network), 0o700)
  setSysctls(paths, bridge.network, quiet)
  try {
    ensureNetwork(asFirewall(bridge.network))
  } catch (error) {
    if (hasNfTables()) throw error
    if (!quiet)
      notice(`the kernel has no nf_tables: from the network ${network.name} nothing beyond this machine is reached`)
  }
  return bridge
}

/** Removes a network with its link and rules, and with the last one what was changed of the machine. Nothing is in it. */
export function removeNetwork(paths: Paths, network: Network): void {
  withNetworksLocked(paths, () => {
    withRoutes((socket) => {
      const found = linkNamed(socket, network.bridge)
      if (found?.alias === aliasOf(network)) request(socket, linkMessage({ kind: "delete", name: network.bridge }))
    })
    if (hasNfTables()) removeRules(asFirewall(network))
    removeTree(leasesOf(paths, network))
    forgetNetwork(paths, network)
    if (listNetworks(paths).length === 0) restoreSysctls(paths)
  })
}

function restoreSysctls(paths: Paths): void {
  for (const [path, value] of Object.entries(readJson<Sysctls>(sysctlsPath(paths)) ?? {}).reverse())
    if (value !== "" && tryReadText(path) !== null) writeText(path, value)
  unlink(sysctlsPath(paths))
}

/** How a network is shown in one line. */
export const subnetText = (network: Network): string => subnetsOf(network).map(formatCidr).join(", ")
