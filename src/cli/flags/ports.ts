/** -p, -P, --expose: options → what is published of a container. */
import { UsageError } from "../../errors.ts"
import { notice } from "../../log.ts"
import { checkConflicts, type PortWish, parseExposed, parsePublish, rangeLength } from "../../network/ports.ts"
import type { NamespaceMode } from "../../spec/request.ts"
import type { ParsedArgv } from "../argv.ts"

/**
 * Null where nothing is to be published, which is said where it cannot be: in no network, or the machine's. Throws UsageError,
 * also where the network is another's.
 */
export function portWish(
  { lists, booleans, typed }: ParsedArgv,
  { mode, hasNetwork }: { mode: NamespaceMode["mode"]; hasNetwork: boolean },
): PortWish | null {
  const option = typed.get("publish") ?? "--publish"
  const published = (lists.get("publish") ?? []).map((text) => parsePublish(option, text))
  checkConflicts(option, published)
  const exposed = (lists.get("expose") ?? []).map((text) => parseExposed("--expose", text))
  const all = booleans.get("publish-all") ?? false
  if (published.length === 0 && !all) return null
  const given = published.length > 0 ? option : (typed.get("publish-all") ?? "--publish-all")
  if (mode === "container" || mode === "path")
    throw new UsageError(`${given} needs a network of its own: it does not go with --net container:ID or ns:PATH`)
  if (!hasNetwork) {
    const why = mode === "host" ? "with --net host all of its ports are the machine's" : "the container has no network"
    if (!booleans.get("quiet")) notice(`${given} is left out: ${why}`)
    return null
  }
  return { published, all, exposed }
}

/** What --expose and -p say that the container serves, as an image has it: 80/tcp. Throws UsageError. */
export function exposedPorts({ lists }: ParsedArgv): string[] {
  const exposed = (lists.get("expose") ?? []).map((text) => parseExposed("--expose", text))
  const published = (lists.get("publish") ?? [])
    .map((text) => parsePublish("--publish", text))
    .map(({ container, protocol }) => ({ ports: container, protocol }))
  return [...exposed, ...published].flatMap(({ ports, protocol }) =>
    Array.from({ length: rangeLength(ports) }, (_, i) => `${ports.first + i}/${protocol}`),
  )
}
