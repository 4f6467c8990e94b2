/** What networks need of the machine: that it forwards packets. Told, written down, and taken back with the last network. */
import { tryReadText, unlink, writeText } from "../../ffi/fs.ts"
import type { NetlinkSocket } from "../../ffi/netlink/socket.ts"
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { readJson, writeAtOnce } from "../state-file.ts"
import { NetworkGone } from "./bridge.ts"
import { withNetworksLocked } from "./lock.ts"
import { findNetwork, type Network } from "./network.ts"
import { advertisedLinks, allLinks } from "./read.ts"

const FORWARD4 = "/proc/sys/net/ipv4/ip_forward"
const CONF6 = "/proc/sys/net/ipv6/conf"
const FORWARD6 = `${CONF6}/all/forwarding`

/** What was changed of the machine: by path, what was there and what is. */
type Sysctls = Record<string, { before: string; now: string }>

const sysctlsPath = (paths: Paths) => `${paths.networkRun}/sysctls.json`

const settingOf = (path: string) => tryReadText(path)?.trim()

/** Settings that forwarding needs: those that are not so yet. */
const missingSysctls = ({ internal, subnet6 }: Network): readonly string[] =>
  internal ? [] : [FORWARD4, ...(subnet6 === null ? [] : [FORWARD6])].filter((path) => settingOf(path) === "0")

/**
 * A machine that forwards takes no IPv6 routes from its routers, unless told to (accept_ra 2): it keeps those that it lives by.
 * Of other links, on which there may be guests, none: ip-sysctl.rst, CVE-2020-13401.
 */
const listening = (socket: NetlinkSocket): string[] =>
  advertisedLinks(socket)
    .map((link) => `${CONF6}/${link}/accept_ra`)
    .filter((path) => settingOf(path) === "1")

const wantedSysctls = (missing: readonly string[], socket: NetlinkSocket) => [
  ...(missing.includes(FORWARD6) ? listening(socket).map((path) => [path, "2"] as const) : []),
  ...missing.map((path) => [path, "1"] as const),
]

/** Makes sure that the machine forwards what a network sends. Throws ToyboxError, NetworkGone. */
export function ensureForwarding(paths: Paths, network: Network, socket: NetlinkSocket, quiet: boolean): void {
  if (missingSysctls(network).length === 0) return
  withNetworksLocked(paths, () => {
    // Else nobody would put back what is changed for it.
    if (findNetwork(paths, network.name)?.id !== network.id) throw new NetworkGone(network)
    const missing = missingSysctls(network)
    const wanted = wantedSysctls(missing, socket)
    const changed = readJson<Sysctls>(sysctlsPath(paths)) ?? {}
    for (const [path, now] of wanted) changed[path] = { before: changed[path]?.before ?? settingOf(path) ?? "", now }
    // First: whoever puts them back must know.
    writeAtOnce(sysctlsPath(paths), new TextEncoder().encode(JSON.stringify(changed)))
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
    if (!quiet && missing.length > 0)
      notice(`this machine forwards packets from now on, for the network ${network.name} (${missing.join(", ")})`)
  })
}

/** The lines that do what ensureForwarding does. */
export const describeForwarding = (network: Network, socket: NetlinkSocket): string[] =>
  wantedSysctls(missingSysctls(network), socket).map(([path, value]) => `echo ${value} >${path}`)

/**
 * Takes back what was changed, after the last network: unless it is another value by now, or there are links left that somebody
 * else may want packets forwarded between.
 */
export function restoreForwarding(paths: Paths, socket: NetlinkSocket): void {
  const changed = Object.entries(readJson<Sysctls>(sysctlsPath(paths)) ?? {}).reverse()
  const others = allLinks(socket).filter(({ name }) => name !== "lo")
  if (others.length < 2)
    for (const [path, { before, now }] of changed) if (settingOf(path) === now) writeText(path, before)
  unlink(sysctlsPath(paths))
}
