/** What the end of a container leaves to be done. */
import { close, exists } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { openCgroup } from "../cgroup/manager.ts"
import { overlayLayout } from "../overlay/layout.ts"
import type { Paths } from "../paths.ts"
import type { Live } from "./bring-up.ts"
import { awaitChanges } from "./change-lock.ts"
import { forget } from "./discard.ts"
import { keepResult, leaveEnded } from "./entry.ts"
import { type Holdings, recordEvents, recordRun } from "./events.ts"
import { tellNeighbours } from "./neighbours.ts"
import { type ContainerResult, leaveRunning, readHead, readRunning } from "./state.ts"
import { removeAnonymous } from "./volume-users.ts"

function recordEnd(paths: Paths, { actor, outcome }: Live, holdings: Holdings, result: ContainerResult | null): void {
  const ending = outcome ?? result
  if (actor === null || ending === null) return
  const oom = ending.oomKilled ? [["oom"] as const] : []
  recordRun(paths, actor, holdings, ...oom, ["die", { exitCode: String(ending.exitCode) }])
}

/**
 * Ends all that is left of a container and gives back what it held; with a result it is kept. Every part is tried; the first
 * error is thrown. With `stays` it stays among the running ones: it is about to be started again.
 */
export async function cleanUp(paths: Paths, live: Live, result: ContainerResult | null, stays = false): Promise<void> {
  const errors: unknown[] = []
  const attempt = (part: () => void) => {
    try {
      part()
    } catch (error) {
      errors.push(error)
    }
  }
  awaitChanges(paths, live.id)
  // Not as toybox remembers it: it may have been connected to networks since, its ports have gone another way, and other limits
  // may have added to its cgroup.
  const now = readRunning(paths, live.id)
  let isKept = true
  if (result)
    attempt(() => {
      isKept = keepResult(paths, live.id, live.lock, now ?? live.record, result)
    })
  const manager = live.manager && now?.cgroup ? openCgroup(now.cgroup) : live.manager
  if (manager) {
    // With its own pid namespace nobody outlives the command; and the removal waits for those on their way out.
    if (!live.ended) attempt(() => manager.kill())
    attempt(() => manager.remove())
  }
  const networks = (live.record.networks && now?.networks) ?? []
  const { ports = [] } = live.record
  if (ports.length > 0) {
    const { endForwarder } = await import("./forwarder.ts")
    const { closePorts, unpublishPorts } = await import("../network/published.ts")
    const { unforwardPorts } = await import("./unforward.ts")
    attempt(() => endForwarder(paths, live.id))
    attempt(() => unpublishPorts(live.id, ports, networks))
    attempt(() => unforwardPorts(paths, live.id, now ?? live.record))
    attempt(() => closePorts(ports))
  }
  const unshare = async () => {
    // Else they go with the last process.
    if (!exists(`${paths.networkRun}/${live.id}.shared`)) return
    const { unshareNetwork } = await import("./share-network.ts")
    attempt(() => unshareNetwork(paths, live.id, networks))
  }
  await unshare()
  if (networks.some(({ guarded }) => guarded)) {
    const { unguardPlaces } = await import("./guard-places.ts")
    attempt(() => unguardPlaces(paths, networks))
  }
  if (networks.length > 0) {
    const { leavePlaces } = await import("../network/leases.ts")
    attempt(() => leavePlaces(paths.networkRun, live.id, networks))
  }
  if (live.root) close(live.root.fd)
  for (const fd of [...live.held, ...live.mounting.values()]) close(fd)
  if (result) attempt(() => removeTree(overlayLayout(live.directory).work))
  // Before others may go on with it: what they do to it comes after.
  attempt(() => recordEnd(paths, live, now ?? live.record, result))
  if (!result) {
    attempt(() => removeAnonymous(paths, live.id, live.record.volumes))
    attempt(() => forget(paths, live.id, readHead(paths, live.id)?.name ?? live.record.name))
    const { actor } = live
    if (actor) attempt(() => recordEvents(paths, actor, ["destroy"]))
  }
  if (!stays)
    attempt(() => (result && !isKept ? leaveEnded(live.lock, live.record.name, result) : leaveRunning(live.lock)))
  await unshare()
  attempt(() => tellNeighbours(paths, networks))
  if (errors.length > 0) throw errors[0]
}
