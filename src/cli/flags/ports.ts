/** -p, -P, --expose: options → what is published of a container. */
import { UsageError } from "../../errors.ts"
import { checkConflicts, type PortWish, parseExposed, parsePublish, rangeLength } from "../../network/ports.ts"
import type { ParsedArgv } from "../argv.ts"

/** Null where nothing is to be published. Throws UsageError, also where there is no network to publish from. */
export function portWish({ lists, booleans, typed }: ParsedArgv, hasNetwork: boolean): PortWish | null {
  const option = typed.get("publish") ?? "--publish"
  const published = (lists.get("publish") ?? []).map((text) => parsePublish(option, text))
  checkConflicts(option, published)
  const exposed = (lists.get("expose") ?? []).map((text) => parseExposed("--expose", text))
  const all = booleans.get("publish-all") ?? false
  if (published.length === 0 && !all) return null
  if (!hasNetwork) {
    const given = published.length > 0 ? option : (typed.get("publish-all") ?? "--publish-all")
    throw new UsageError(`${given} needs a network: it does not go with --net none, host, container:ID or ns:PATH`, {
      hint: "leave it out: with --net host the ports of the container are the machine's",
    })
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
