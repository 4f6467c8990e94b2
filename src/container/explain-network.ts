/** --explain: what a run would do to networks, as the machine is now. Changes nothing. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { listDir } from "../../ffi/directory.ts"
import { mkdir, readLink, symlink, tryReadText } from "../../ffi/fs.ts"
import type { NetlinkSocket } from "../../ffi/netlink/socket.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { aliasOf, asFarAs, asFirewall, type Bridge, withoutIpv6, withRoutes } from "../network/bridge.ts"
import { describeEndpoints } from "../network/connect.ts"
import { type Endpoint, leadingOut, newLinkName, type Place, takePlace } from "../network/endpoint.ts"
import { describeGuard } from "../network/firewall/guard.ts"
import { describeNetwork, hasNfTables, hasTables, isKnown } from "../network/firewall/index.ts"
import { describeReports } from "../network/firewall/reports.ts"
import { tableShape } from "../network/firewall/ruleset.ts"
import { describeMaking } from "../network/firewall/table-shape.ts"
import { describeForwarding } from "../network/forwarding.ts"
import { describeBridge, mtuFor } from "../network/make-bridge.ts"
import { hasIpv6, networkFor } from "../network/make-network.ts"
import { leasesOf, type Network } from "../network/network.ts"
import { linkNamed } from "../network/read.ts"
import type { Paths } from "../paths.ts"
import { asGuarded } from "./guard-places.ts"
import { keptBy, mayForge, otherContainers, wantsIpv6 } from "./network.ts"
import { explainPorts } from "./ports.ts"
import type { ContainerRequest } from "./request.ts"

/** The place that a container would have, by what others have: of a copy, so that nothing is taken. */
function placeFor(
  paths: Paths,
  network: Network,
  wish: ContainerRequest["networks"][number],
  taking: { id: string; position: number },
): Endpoint {
  const networkRun = mkdtempSync(`${tmpdir()}/toybox-explain-`)
  const copy = { ...paths, networkRun }
  try {
    mkdir(leasesOf(copy, network), 0o700)
    for (const name of listDir(leasesOf(paths, network))) {
      const holder = readLink(`${leasesOf(paths, network)}/${name}`)
      if (holder !== null) symlink(holder, `${leasesOf(copy, network)}/${name}`)
    }
    return takePlace(copy, network, wish, { ...taking, others: otherContainers(paths) })
  } finally {
    removeTree(networkRun)
  }
}

/** The bridge that a run would find or make, and the lines that make what is missing of it. */
function bridgeFor(paths: Paths, name: string, socket: NetlinkSocket): { bridge: Bridge; lines: string[] } {
  const network = networkFor(paths, name)
  const there = linkNamed(socket, network.bridge)
  const isThere = there?.alias === aliasOf(network)
  const mtu = isThere ? there.mtu : mtuFor(network, socket)
  const able = isThere ? asFarAs(network, mtu) : hasIpv6() ? network : withoutIpv6(network)
  const bridge = { network: able, index: there?.index ?? 0, mtu }
  return {
    bridge,
    lines: [...(isThere ? [] : describeBridge(able, mtu)), ...describeForwarding(able, socket), ...rulesFor(able)],
  }
}

function rulesFor(network: Network): string[] {
  if (!hasNfTables() || isKnown(asFirewall(network))) return []
  const table = hasTables() ? [] : describeMaking(tableShape({ family: "inet", name: "toybox" }))
  const local = `/proc/sys/net/ipv4/conf/${network.bridge}/route_localnet`
  const isLet = network.internal || tryReadText(local)?.trim() === "1"
  return [
    ...describeReports(),
    ...table,
    ...describeNetwork(asFirewall(network)),
    ...(isLet ? [] : [`echo 1 >${local}`]),
  ]
}

/** The places that a run would have, and the lines of ip(8) and nft(8) that make them. Throws ToyboxError where there are none. */
export async function explainNetworks(
  request: ContainerRequest,
  paths: Paths,
  id: string,
): Promise<{ endpoints: Endpoint[]; lines: string[] }> {
  const found = withRoutes((socket) => request.networks.map(({ network }) => bridgeFor(paths, network, socket)))
  const places = request.networks.flatMap((wish, position): Place[] => {
    const bridge = found[position]?.bridge
    if (!bridge) return []
    const able = wantsIpv6(request.process, position) ? bridge.network : withoutIpv6(bridge.network)
    const place = placeFor(paths, able, wish, { id, position })
    const endpoint = { ...place, link: newLinkName(), ...keptBy(request.process) }
    return [{ endpoint, bridge, hairpin: request.ports !== null }]
  })
  const endpoints = places.map(({ endpoint }) => endpoint)
  const missing = found.flatMap(({ lines }) => lines)
  return {
    endpoints,
    lines: [
      ...(missing.length > 0 ? ["# What is not there yet of its networks", ...missing, ""] : []),
      "# While the container's process ($PID) makes itself ready",
      ...describeEndpoints(places, leadingOut(places)),
      ...(mayForge(request.process) ? describeGuard(endpoints.map(asGuarded)) : []),
      ...(request.ports ? await explainPorts(request, request.ports, paths, { id, places }) : []),
      "",
    ],
  }
}
