/** A start meets other people's firewalls: what they do to its networks is told, and ports go by the way that is open. */
import { exists, tryReadText } from "../../ffi/fs.ts"
import { errorChain } from "../errors.ts"
import { notice } from "../log.ts"
import { type Bridge, barredPath, toldPath } from "../network/bridge.ts"
import type { Obstacles } from "../network/firewall/obstacles.ts"
import type { Paths } from "../paths.ts"
import { writeAtOnce } from "../state-file.ts"
import { type Look, lookOnce, obstacleTo } from "./foreign-firewalls.ts"
import { publishForContainer } from "./ports.ts"
import type { ContainerRequest } from "./request.ts"

/** Leads the ports of a container that is connected to it; and where the rules of this machine are others than before, heeds that. */
export async function meetFirewalls(
  request: ContainerRequest,
  paths: Paths,
  live: Parameters<typeof publishForContainer>[2],
): Promise<void> {
  const look = await lookOnce()
  if (request.ports) publishForContainer(request, paths, live, look)
  for (const { bridge } of live.places) if (bridge.changed) await heed(paths, bridge, look, request.quiet)
}

async function heed(paths: Paths, bridge: Bridge, look: Look, quiet: boolean): Promise<void> {
  if (!quiet) warnOfDrops(paths, bridge, look(bridge))
  if (exists(barredPath(paths, bridge.network)) === (obstacleTo(bridge, look) !== null)) return
  try {
    ;(await import("./move-ports.ts")).movePorts(paths, [bridge], look, quiet)
  } catch (error) {
    // Those of others are no reason not to start this one.
    notice(`published ports of other containers: ${errorChain(error)}`)
  }
}

/**
 * A firewall of somebody else's may drop what comes from containers: that is told, with what it lacks, once for each network, as
 * long as it is the same.
 */
function warnOfDrops(paths: Paths, { network }: Bridge, { outside, within, rules }: Obstacles): void {
  const drop = outside ?? within
  const lost = outside
    ? "containers do not reach the outside before"
    : `containers of the network ${network.name} do not reach one another before`
  const told =
    drop === null
      ? ""
      : `the firewall of this machine (${drop.tool}) drops what is forwarded: ${lost}\n${rules.map((rule) => `  ${rule}`).join("\n")}`
  const path = toldPath(paths, network)
  if ((tryReadText(path) ?? "") === told) return
  writeAtOnce(path, new TextEncoder().encode(told))
  if (told !== "") notice(told)
}
