/** What happens to containers, as event-file.ts keeps it. */
import { appendEvents, type ThingEvent } from "../event-file.ts"
import type { Endpoint } from "../network/endpoint.ts"
import type { Paths } from "../paths.ts"
import type { HealthStatus } from "./health.ts"
import type { ContainerHead, RunningRecord } from "./state.ts"

/** docker's names of them. */
export type Action =
  | "create"
  | "start"
  | "die"
  | "oom"
  | "kill"
  | "stop"
  | "restart"
  | "update"
  | "pause"
  | "unpause"
  | "rename"
  | "destroy"
  | "attach"
  | "detach"
  | "commit"
  | "exec_create"
  | "exec_start"
  | "exec_die"
  | `health_status: ${HealthStatus}`

/** Whom it happens to. */
export type Actor = Pick<ContainerHead, "id" | "name" | "image"> & { labels?: Record<string, string> }

export interface ContainerEvent extends Actor {
  /** As timestamp() has it. */
  time: string
  action: Action
  /** Exit code, signal and the like. */
  attributes?: Record<string, string>
}

/** Volumes and networks that a container has, once its command was executed. */
export type Holdings = Pick<RunningRecord, "volumes" | "networks" | "executed">

/** That it comes to its networks and volumes, or leaves them. */
function holdingEvents(id: string, holdings: Holdings, isStart: boolean): ThingEvent[] {
  const { volumes = [], networks = [], executed } = holdings
  if (executed === undefined) return []
  return [
    ...networks.map((endpoint) => placeEvent(isStart ? "connect" : "disconnect", id, endpoint)),
    ...volumes.map(({ name, destination }): ThingEvent => {
      const attributes = { container: id, ...(isStart ? { destination } : {}), driver: "local" }
      return { type: "volume", action: isStart ? "mount" : "unmount", id: name, attributes }
    }),
  ]
}

/** That a container comes to a network, or leaves it. */
export const placeEvent = (
  action: "connect" | "disconnect",
  container: string,
  { network, networkId }: Pick<Endpoint, "network" | "networkId">,
): ThingEvent => ({
  type: "network",
  action,
  id: networkId,
  attributes: { container, name: network, type: "bridge" },
})

type Happened = readonly [Action, Record<string, string>?]

function eventOf({ id, name, image, labels }: Actor, [action, attributes]: Happened): Omit<ContainerEvent, "time"> {
  return {
    ...{ action, id, name, image },
    ...(labels && Object.keys(labels).length > 0 ? { labels } : {}),
    ...(attributes ? { attributes } : {}),
  }
}

/** Tells of what has happened to one container just now. */
export function recordEvents(paths: Paths, actor: Actor, ...happened: readonly Happened[]): void {
  appendEvents(
    paths,
    happened.map((one) => eventOf(actor, one)),
  )
}

/** The same of its start or its end, with what it has while it runs. */
export function recordRun(paths: Paths, actor: Actor, holdings: Holdings, ...happened: readonly Happened[]): void {
  const events = happened.flatMap((one) => {
    const [action] = one
    const event = eventOf(actor, one)
    if (action === "start") return [...holdingEvents(actor.id, holdings, true), event]
    return action === "die" ? [event, ...holdingEvents(actor.id, holdings, false)] : [event]
  })
  appendEvents(paths, events)
}
