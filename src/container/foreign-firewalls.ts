/** What other people's firewalls, which come and go as they like, do to networks of containers. */
import { unlink } from "../../ffi/fs.ts"
import { type Bridge, barredPath } from "../network/bridge.ts"
import { hasNfTables } from "../network/firewall/index.ts"
import type { Obstacles, obstaclesOf } from "../network/firewall/obstacles.ts"
import type { Network } from "../network/network.ts"
import type { Paths } from "../paths.ts"
import { writeAtOnce } from "../state-file.ts"

type ObstaclesOf = typeof obstaclesOf

/** The link of a network, as far as firewalls are concerned. */
export type Subject = Pick<Bridge, "index"> & { network: Omit<Parameters<ObstaclesOf>[0], "index"> }

/** What they do to a network. */
export type Look = (bridge: Subject) => Obstacles

/** Looks at each network once. */
export function remembering(obstaclesOf: ObstaclesOf): Look {
  const known = new Map<string, Obstacles>()
  return ({ network, index }) => {
    const found = known.get(network.bridge) ?? obstaclesOf({ ...network, index })
    known.set(network.bridge, found)
    return found
  }
}

/** The same, for who seldom needs to. */
export const lookOnce = async (): Promise<Look> =>
  remembering((await import("../network/firewall/obstacles.ts")).obstaclesOf)

/** Why the kernel does not lead ports to containers of a network; null where it does. */
export function obstacleTo(bridge: Subject, look: Look): string | null {
  if (!hasNfTables()) return "the kernel has no nf_tables"
  const { ports } = look(bridge)
  return ports && `the firewall of this machine (${ports.tool}) drops what is forwarded to ${bridge.network.bridge}`
}

/** Remembers whether the kernel leads ports to containers of a network, so that it is seen when that changes. */
export function rememberBarred(paths: Paths, network: Network, barred: boolean): void {
  const path = barredPath(paths, network)
  if (barred) writeAtOnce(path, new Uint8Array())
  else unlink(path)
}
