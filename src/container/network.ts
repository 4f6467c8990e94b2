/** A container's networks, at its start and at its end. */
import { POLLIN } from "../../ffi/constants/poll.ts"
import { tryReadText } from "../../ffi/fs.ts"
import { poll } from "../../ffi/poll.ts"
import { type Reports, readReports } from "../launch/index.ts"
import { notice } from "../log.ts"
import { ensureBridge, NoBridges, withRoutes } from "../network/bridge.ts"
import {
  type Containers,
  connect,
  type Endpoint,
  leadingOut,
  newLinkName,
  type Place,
  takePlace,
} from "../network/endpoint.ts"
import { obtainNetwork } from "../network/make-network.ts"
import type { Paths } from "../paths.ts"
import { MOMENT_NETWORK } from "../plan/facts.ts"
import type { FileLock } from "../state-file.ts"
import type { ContainerRequest } from "./request.ts"
import { type RunningRecord, readRunning, updateRunning } from "./state.ts"

/** Who else there is. */
export const otherContainers = (paths: Paths): Containers => ({
  runs: (id) => readRunning(paths, id) !== null,
})

const withoutNetwork = (error: NoBridges) =>
  notice(`${error.message}: the container has no network (--net none says so, --net host gives it the machine's)`)

/**
 * Takes the places that a container asks for, and writes them down, so that they are given back whatever happens. Where the
 * kernel can do no networks and none was asked for, there are none. Throws ToyboxError.
 */
export function takePlaces(
  request: ContainerRequest,
  paths: Paths,
  { id, record, lock }: { id: string; record: RunningRecord; lock: FileLock },
): Place[] {
  const endpoints: Endpoint[] = []
  record.networks = endpoints
  try {
    return withRoutes((socket) =>
      request.networks.map((wish, position): Place => {
        const bridge = ensureBridge(paths, obtainNetwork(paths, wish.network), socket, request.quiet)
        const endpoint = takePlace(paths, bridge.network, wish, { id, position, others: otherContainers(paths) })
        endpoints.push(endpoint)
        return { endpoint, bridge, hairpin: Boolean(request.ports) }
      }),
    )
  } catch (error) {
    if (!(error instanceof NoBridges) || request.ports || !request.networks.every(({ byDefault }) => byDefault))
      throw error
    if (!request.quiet) withoutNetwork(error)
    return []
  } finally {
    updateRunning(lock, record)
  }
}

const hasEnded = (pid: number) => /^\d+ \(.*\) [ZX]/s.test(tryReadText(`/proc/${pid}/stat`) ?? "0 () X")

const PATIENCE = 500

/** Waits for the network namespace of the container's process; null where it failed before, or was killed. */
function awaitNamespace(
  child: { pid: number; reported: boolean; reportFd: number },
  reports: Reports,
  traced: boolean,
) {
  const hasCome = () => reports.moments?.includes(MOMENT_NETWORK) && (!child.reported || reports.pid !== undefined)
  while (!hasCome()) {
    if (reports.failures.length > 0) return null
    if (poll([{ fd: child.reportFd, events: POLLIN }], PATIENCE)[0]) readReports(child.reportFd, reports, traced)
    else if (hasEnded(child.pid)) return null
  }
  return reports.pid ?? child.pid
}

/**
 * Connects a container's process to its places, as soon as it has a network namespace. `reported`: who it is will be told
 * over the report pipe. What fails in the process is left to who reads its reports to the end.
 */
export function connectPlaces(
  request: ContainerRequest,
  places: readonly Place[],
  child: { pid: number; reported: boolean; reportFd: number },
  reports: Reports,
): void {
  const pid = awaitNamespace(child, reports, request.trace)
  if (pid === null) return
  for (const { endpoint } of places) endpoint.link = newLinkName()
  try {
    withRoutes((socket) => connect(pid, places, leadingOut(places), socket))
  } catch (error) {
    if (!(error instanceof NoBridges) || request.ports || !request.networks.every(({ byDefault }) => byDefault))
      throw error
    if (!request.quiet) withoutNetwork(error)
  }
}
