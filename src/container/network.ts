/** A container's networks, at its start and at its end. */

import { NETLINK_ROUTE } from "../../ffi/constants/netlink.ts"
import { closeNetlink, type NetlinkSocket, openNetlink } from "../../ffi/netlink/socket.ts"
import type { Reports } from "../launch/index.ts"
import { notice } from "../log.ts"
import { NetworkGone, NoBridges, withoutIpv6, withRoutes } from "../network/bridge.ts"
import { connect } from "../network/connect.ts"
import type { EndpointWish } from "../network/default.ts"
import { type Endpoint, leadingOut, newLinkName, type Place, takePlace } from "../network/endpoint.ts"
import { ensureBridge } from "../network/ensure-bridge.ts"
import type { Containers } from "../network/leases.ts"
import { obtainNetwork } from "../network/make-network.ts"
import type { Paths } from "../paths.ts"
import { MOMENT_NETWORK } from "../plan/facts.ts"
import type { RunRequest } from "../spec/request.ts"
import type { FileLock } from "../state-file.ts"
import { awaitReport, type Child, hasFailed } from "./child-reports.ts"
import type { ContainerRequest } from "./request.ts"
import { type RunningRecord, readRunning, updateRunning } from "./state.ts"

/** Who else there is. */
export const otherContainers = (paths: Paths): Containers => ({
  runs: (id) => readRunning(paths, id) !== null,
})

const withoutNetwork = (error: NoBridges) =>
  notice(`${error.message}: the container has no network (--net none says so, --net host gives it the machine's)`)

/** Whether a container has not switched IPv6 off by --sysctl, for its link of that number. */
export const wantsIpv6 = ({ sysctl }: Pick<RunRequest, "sysctl">, position: number): boolean =>
  ["all", `eth${position}`].every((link) => (sysctl[`net.ipv6.conf.${link}.disable_ipv6`] ?? "0") === "0")

/** Whether a container may make packets as it likes, or give itself addresses: capabilities(7). */
export const mayForge = ({ privileged, capAdd }: Pick<RunRequest, "privileged" | "capAdd">): boolean =>
  privileged || capAdd.some((name) => ["ALL", "CAP_NET_ADMIN", "CAP_NET_RAW"].includes(name))

// Whose value is 0 as long as nobody wants addresses of others' making: ip-sysctl(5).
const ROAMING = /^net\.ipv6\.(ip_nonlocal_bind|conf\.[^.]+\.(accept_ra|addr_gen_mode|stable_secret))$/

/** How a container is kept from its neighbours' addresses. */
export function keptBy(
  process: Pick<RunRequest, "privileged" | "capAdd" | "sysctl">,
): Pick<Endpoint, "guarded" | "roams"> {
  if (mayForge(process)) return { guarded: true }
  const isRoaming = Object.entries(process.sysctl).some(([name, value]) => ROAMING.test(name) && value !== "0")
  return isRoaming ? { roams: true } : {}
}

const ATTEMPTS = 20

/** Takes a place in a network, which may be removed meanwhile: the default one is made anew then. Throws ToyboxError. */
export async function takePlaceIn(
  paths: Paths,
  wish: EndpointWish,
  { six, kept, ...container }: { id: string; position: number; six: boolean; kept: ReturnType<typeof keptBy> },
  { socket, quiet }: { socket: NetlinkSocket; quiet: boolean },
): Promise<Omit<Place, "hairpin">> {
  for (let attempt = 1; ; attempt++) {
    const network = obtainNetwork(paths, wish.network)
    try {
      const bridge = await ensureBridge(paths, network, socket, quiet)
      const taking = { ...container, others: otherContainers(paths) }
      if (bridge.mended) (await import("./reload-networks.ts")).mendContainers(paths, container.id)
      const able = six ? bridge.network : withoutIpv6(bridge.network)
      const endpoint = takePlace(paths, able, wish, taking)
      return { endpoint: { ...endpoint, ...kept }, bridge }
    } catch (error) {
      if (!(error instanceof NetworkGone)) throw error
      const { removeNetworkRules } = await import("../network/make-bridge.ts")
      // They may have come after it went.
      removeNetworkRules(paths, network)
      if (attempt === ATTEMPTS) throw error
    }
  }
}

/**
 * Takes the places that a container asks for, and writes them down, so that they are given back whatever happens. Where the
 * kernel can do no networks and none was asked for, there are none. Throws ToyboxError.
 */
export async function takePlaces(
  request: ContainerRequest,
  paths: Paths,
  { id, record, lock }: { id: string; record: RunningRecord; lock: FileLock },
): Promise<Place[]> {
  const endpoints: Endpoint[] = []
  record.networks = endpoints
  const socket = openNetlink(NETLINK_ROUTE)
  try {
    const places: Place[] = []
    for (const [position, wish] of request.networks.entries()) {
      const six = wantsIpv6(request.process, position)
      const taking = { id, position, six, kept: keptBy(request.process) }
      const place = await takePlaceIn(paths, wish, taking, { socket, quiet: request.quiet })
      endpoints.push(place.endpoint)
      places.push({ ...place, hairpin: Boolean(request.ports) })
    }
    return places
  } catch (error) {
    if (!(error instanceof NoBridges) || request.ports || !request.networks.every(({ byDefault }) => byDefault))
      throw error
    if (!request.quiet) withoutNetwork(error)
    return []
  } finally {
    closeNetlink(socket)
    updateRunning(lock, record)
  }
}

interface NewChild extends Child {
  /** Who it is will be told over the report pipe. */
  reported: boolean
}

/** Waits for the network namespace of the container's process; null where it failed before, or was killed. */
function awaitNamespace(child: NewChild, reports: Reports, traced: boolean) {
  const hasCome = () =>
    reports.moments?.includes(MOMENT_NETWORK) === true && (!child.reported || reports.pid !== undefined)
  return awaitReport(child, reports, traced, hasCome) ? (reports.pid ?? child.pid) : null
}

/**
 * Connects a container's process to its places, as soon as it has a network namespace. What fails in the process is left to
 * who reads its reports to the end.
 */
export function connectPlaces(
  request: ContainerRequest,
  places: readonly Place[],
  child: NewChild,
  reports: Reports,
): void {
  const pid = awaitNamespace(child, reports, request.trace)
  if (pid === null) return
  for (const { endpoint } of places) endpoint.link = newLinkName()
  try {
    withRoutes((socket) => connect(pid, places, leadingOut(places), socket))
  } catch (error) {
    // The namespace goes with the process, as where overlayfs is refused: that is told then.
    if (hasFailed(child, reports, request.trace)) return
    if (!(error instanceof NoBridges) || request.ports || !request.networks.every(({ byDefault }) => byDefault))
      throw error
    if (!request.quiet) withoutNetwork(error)
  }
}
