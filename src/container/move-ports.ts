/** Published ports of containers that run go by the way that is open now: through the kernel, or through a process. */
import { notice } from "../log.ts"
import type { Bridge } from "../network/bridge.ts"
import { keepFromInternal, publish } from "../network/firewall/index.ts"
import { type HeldPort, servedPorts } from "../network/ports.ts"
import { publishedPorts, unpublishPorts } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { type Look, obstacleTo, rememberBarred } from "./foreign-firewalls.ts"
import { others, publicationOf, publishingEndpoint } from "./ports.ts"
import { type RunningRecord, readRunning, runningIds } from "./state.ts"
import { unforwardPorts } from "./unforward.ts"
import { changeRunning, whileUp } from "./while-up.ts"

type Place = Pick<Bridge, "network" | "index">

/** Whether a container's ports come through this network, and not by the way that is open. */
function isAstray(paths: Paths, record: RunningRecord | null, { network }: Place, barred: boolean): boolean {
  const { ports = [], networks = [], forwarded = false } = record ?? {}
  if (ports.length === 0 || forwarded === barred) return false
  return publishingEndpoint(paths, networks)?.networkId === network.id
}

/** Containers of this network whose ports do not go by the way that is open. */
const strays = (paths: Paths, bridge: Place, barred: boolean): string[] =>
  runningIds(paths).filter((id) => isAstray(paths, readRunning(paths, id), bridge, barred))

/** The names of containers of these networks whose ports another's firewall has cut off, or need not go round it any more. */
export const misledContainers = (paths: Paths, bridges: readonly Place[], look: Look): string[] =>
  bridges.flatMap((bridge) => strays(paths, bridge, obstacleTo(bridge, look) !== null).map(others(paths).nameOf))

/**
 * Has the ports of all that run in these networks go by the way that is open. Who supervises them holds the ports, and waits for
 * who comes to them, whichever way it is: the containers notice nothing. Throws ToyboxError.
 */
export function movePorts(paths: Paths, bridges: readonly Place[], look: Look, quiet: boolean): void {
  for (const bridge of bridges) {
    const obstacle = obstacleTo(bridge, look)
    const barred = obstacle !== null
    const moved: string[] = []
    const stuck: HeldPort[] = []
    for (const id of strays(paths, bridge, barred))
      whileUp(paths, id, (record) => {
        if (!isAstray(paths, record, bridge, barred)) return
        if (barred) bar(paths, id, record)
        else unbar(paths, id, record)
        moved.push(others(paths).nameOf(id))
        stuck.push(...(record.ports ?? []).filter(({ fd }) => fd === null))
      })
    rememberBarred(paths, bridge.network, barred)
    if (obstacle === null || quiet || moved.length === 0) continue
    notice(`${obstacle}: published ports of ${moved.join(", ")} go through a process of toybox's own`)
    for (const { host, protocol } of stuck)
      notice(`port ${host}/${protocol} is not reached: only the kernel could lead it to its container`)
  }
}

// Who is killed in between leaves ports that are written down as led by the kernel, and are not: publishAgain mends that.

function bar(paths: Paths, id: string, record: RunningRecord): void {
  const { ports = [], networks = [] } = record
  const served = servedPorts({ ports, forwarded: true })
  keepFromInternal(publishedPorts(served))
  unpublishPorts(id, served, networks)
  changeRunning(paths, id, { ...record, forwarded: true })
}

function unbar(paths: Paths, id: string, { forwarded: _, ...record }: RunningRecord): void {
  const { ports = [] } = record
  changeRunning(paths, id, record)
  const published = publicationOf(paths, id, record)
  if (published) publish(published, others(paths))
  const stillServed = servedPorts(record)
  unforwardPorts(paths, id, { ports: ports.filter((port) => !stillServed.includes(port)), forwarded: true })
}
