/** The end of ports that a process of toybox's serves, or would have served. */
import { keepFromInternal, openToInternal } from "../network/firewall/index.ts"
import { servedPorts } from "../network/ports.ts"
import { type Connected, publishedPorts } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { readRunning, runningIds } from "./state.ts"

/** Takes back what is done about those of a container, as far as they are not another's, too. */
export function unforwardPorts(paths: Paths, id: string, connected: Connected): void {
  const served = servedPorts(connected)
  if (served.length === 0) return
  openToInternal(publishedPorts(served))
  // Of every address nobody else can have one.
  const bound = served.filter(({ address }) => address !== null)
  if (bound.length === 0) return
  // Looked at last: what another is to have is written down before it is published.
  const others = runningIds(paths)
    .filter((other) => other !== id)
    .flatMap((other) => servedPorts(readRunning(paths, other) ?? {}))
  const isShared = ({ protocol, host }: (typeof others)[number]) =>
    bound.some((own) => own.protocol === protocol && own.host === host)
  keepFromInternal(publishedPorts(others.filter(isShared)))
}
