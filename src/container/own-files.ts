/** A container's own /etc/hosts, /etc/hostname and /etc/resolv.conf, at its start. */
import type { Paths } from "../paths.ts"
import type { Live } from "./bring-up.ts"
import { fileRequest, writeContainerFiles } from "./files.ts"
import { effectiveHostname } from "./prepare.ts"
import type { ContainerRequest } from "./request.ts"

/** Writes the files, or has part in another container's. Throws ToyboxError. */
export async function prepareFiles(
  request: ContainerRequest,
  paths: Paths,
  live: Pick<Live, "id" | "directory" | "places">,
): Promise<void> {
  const { timeZone, namespaces } = request.process
  if (timeZone !== undefined) (await import("./time-zone.ts")).writeTimeZone(live.directory, timeZone)
  const { network } = namespaces
  if (network?.mode === "container") {
    const { mayForge } = await import("./network.ts")
    const { shareNetwork } = await import("./share-network.ts")
    return shareNetwork(paths, network.id, mayForge(request.process))
  }
  const networks = live.places.map(({ endpoint }) => endpoint)
  const { directory, id } = live
  const wanted = fileRequest(request, { directory, hostname: effectiveHostname(request, id), networks })
  await writeContainerFiles(wanted, request.quiet)
}
