/** -p, -P, --expose: options → what is published of a container. */
import { UsageError } from "../../errors.ts"
import { checkConflicts, type PortWish, parseExposed, parsePublish } from "../../network/ports.ts"
import type { ParsedArgv } from "../argv.ts"

/** Null where nothing is to be published. Throws UsageError, also where there is no network to publish from. */
export function portWish({ lists, booleans, typed }: ParsedArgv, hasNetwork: boolean): PortWish | null {
  const option = typed.get("publish") ?? "--publish"
  const published = (lists.get("publish") ?? []).map((text) => parsePublish(option, text))
  for (const { address } of published)
    if (address === "::1")
      // The kernel has no route_localnet for IPv6: nothing that goes to ::1 can be led elsewhere.
      throw new UsageError(`${option}: ports of ::1 are not published`, {
        hint: "use 127.0.0.1, e.g. 127.0.0.1:8080:80",
      })
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
