/** The link of a network: a bridge. */
import { NETLINK_ROUTE } from "../../ffi/constants/netlink.ts"
import { tryReadText } from "../../ffi/fs.ts"
import { closeNetlink, type NetlinkSocket, openNetlink } from "../../ffi/netlink/socket.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import type { FirewallNetwork } from "./firewall/elements.ts"
import { addressOf, type Network, subnetsOf } from "./network.ts"

/** A bridge that is there. */
export interface Bridge {
  /** Without IPv6 where the link can have none. */
  network: Network
  index: number
  /** In bytes. */
  mtu: number
  /** The rules of this machine are others than when they were last looked at, or it has just been made. */
  changed?: true
  /** Something was missing of what toybox has there: published ports may be, too. */
  mended?: true
}

/** In bytes, where no default route tells: Ethernet's. */
export const DEFAULT_MTU = 1500

/** In bytes; links of less carry no IPv6: RFC 8200, section 5. */
export const LEAST_MTU6 = 1280

/** Marks a link as ours; the id of its network comes behind it. */
export const OURS = "toybox network "

export const aliasOf = ({ id }: Network): string => `${OURS}${id}`

export const asFirewall = (network: Network): FirewallNetwork => ({ ...network, subnets: subnetsOf(network) })

/** Carries out something with an rtnetlink(7) socket of this process's network namespace. */
export function withRoutes<T>(use: (socket: NetlinkSocket) => T): T {
  const socket = openNetlink(NETLINK_ROUTE)
  try {
    return use(socket)
  } finally {
    closeNetlink(socket)
  }
}

/** This kernel cannot do networks of containers. */
export class NoBridges extends ToyboxError {}

/** Somebody has removed the network meanwhile. */
export class NetworkGone extends ToyboxError {
  constructor({ name }: Network) {
    super(`the network ${name} has just been removed`)
  }
}

/** A network as far as a link can have it: without IPv6 where that is switched off, or its packets are too large. */
export function asFarAs(network: Network, mtu: number): Network {
  const off = `/proc/sys/net/ipv6/conf/${network.bridge}/disable_ipv6`
  const cannot = network.subnet6 !== null && (mtu < LEAST_MTU6 || tryReadText(off)?.trim() !== "0")
  return cannot ? withoutIpv6(network) : network
}

export const withoutIpv6 = (network: Network): Network => ({ ...network, subnet6: null, gateway6: null })

/** The file that tells which rules of this machine were looked at last, for a network: their generation. */
export const seenPath = (paths: Paths, { id }: Network): string => `${paths.networkRun}/${id}.rules`

/** The file that tells that containers are kept from others' addresses (firewall/guard.ts). */
export const guardedPath = (paths: Paths): string => `${paths.networkRun}/guarded`

/** The file with what was told last of other firewalls, for a network. */
export const toldPath = (paths: Paths, { id }: Network): string => `${paths.networkRun}/${id}.told`

/** The addresses of this machine in a network. */
export const gatewaysOf = ({ gateway, gateway6 }: Network): Uint8Array[] =>
  [gateway, gateway6].flatMap((text) => (text === null ? [] : [addressOf(text)]))

/** The file that tells that the kernel leads no ports to containers of a network, for another's firewall. */
export const barredPath = (paths: Paths, { id }: Network): string => `${paths.networkRun}/${id}.barred`
