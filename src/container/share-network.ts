/** Containers that share the network of another: `--net container:ID`. */
import { unlink } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import { withRoutes } from "../network/bridge.ts"
import { deleteLinks, freeAddresses } from "../network/connect.ts"
import type { Endpoint } from "../network/endpoint.ts"
import type { Paths } from "../paths.ts"
import { guardPlaces, unguardPlaces } from "./guard-places.ts"
import { isSharedByForger, markShared, sharedPath } from "./shared-mark.ts"
import { readHead, readRunning } from "./state.ts"
import { tryReadStored } from "./stored-request.ts"

/**
 * Has part in the network of another container: its links do not go with its processes any more, and are to be removed at its
 * end. `mayForge`: who shares it could take others' addresses. Throws ToyboxError where it has ended.
 */
export function shareNetwork(paths: Paths, id: string, mayForge: boolean): void {
  if (!join(paths, id, mayForge))
    throw new ToyboxError(
      `container ${readHead(paths, id)?.name ?? id.slice(0, 12)}, whose network is to be shared, has ended`,
    )
}

/** Has a command that could take others' addresses come into a container's network. Throws ToyboxError. */
export function letForgerIn(paths: Paths, id: string): void {
  const networks = readRunning(paths, id)?.networks ?? []
  const isGuarded = networks.length > 0 && networks.every(({ guarded }) => guarded)
  if (!isGuarded && !isSharedByForger(paths, id)) join(paths, id, true)
}

/** Marks a container's network, and with `mayForge` guards whose it is; false where the container has ended. */
function join(paths: Paths, id: string, mayForge: boolean): boolean {
  markShared(paths, id, mayForge)
  // Who ends looks for the mark once more when nobody sees him run any more.
  const running = readRunning(paths, id)
  if (!running) unlink(sharedPath(paths, id))
  else if (mayForge) {
    const { networks = [] } = running
    guardPlaces(paths, networks, false)
    if (networks.length > 0 && running.pid > 0) freeAddresses(running.pid, networks)
    // It may be in the network of a third, which may have ended.
    const network = tryReadStored(paths, id)?.process.namespaces.network
    if (network?.mode === "container") join(paths, network.id, true)
  }
  return running !== null
}

/** Removes the links of a container that has ended from a namespace that others are still in: its addresses are others' next. */
export function unshareNetwork(paths: Paths, id: string, endpoints: readonly Endpoint[]): void {
  if (endpoints.length > 0) {
    withRoutes((socket) => deleteLinks(endpoints, socket))
    unguardPlaces(paths, endpoints)
  }
  unlink(sharedPath(paths, id))
}
