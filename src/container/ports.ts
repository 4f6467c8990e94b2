/** Published ports of a container: claimed before its start, led to it when it is connected, given back at its end. */
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import type { Bridge } from "../network/bridge.ts"
import { claimPorts } from "../network/claims.ts"
import type { Place } from "../network/endpoint.ts"
import { hasNfTables, publish } from "../network/firewall/index.ts"
import { formatIp } from "../network/ip.ts"
import { type PortWish, type Protocol, publishAll } from "../network/ports.ts"
import { publishedPorts, reachedAt } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import type { FileLock } from "../state-file.ts"
import { recover } from "./recover.ts"
import type { ContainerRequest } from "./request.ts"
import { type RunningRecord, readHead, readRunning, runningIds, updateRunning } from "./state.ts"

interface Live {
  id: string
  record: RunningRecord
  places: readonly Place[]
  lock: FileLock
}

/** The mappings of -p, and with -P those of what is exposed besides. */
export const wantedPorts = ({ published, all, exposed }: PortWish) =>
  all ? [...published, ...publishAll(exposed, published)] : [...published]

function containerWith(paths: Paths, port: number, protocol: Protocol): string | null {
  const id = runningIds(paths).find((one) =>
    readRunning(paths, one)?.ports?.some((held) => held.host === port && held.protocol === protocol),
  )
  return id === undefined ? null : (readHead(paths, id)?.name ?? id.slice(0, 12))
}

/** Claims what a container is to have, for its record. Throws ToyboxError where another has it. */
export function claimForContainer(wish: PortWish, paths: Paths, record: RunningRecord): void {
  // Of those whose toybox was killed nothing may be in the way.
  recover(paths)
  const { ports, fds } = claimPorts(wantedPorts(wish), (port, protocol) => containerWith(paths, port, protocol))
  const left = [...fds]
  record.ports = ports.map(({ protocol, address, host, container }) => ({
    protocol,
    address: address && formatIp(address),
    host,
    container,
    fd: protocol === "sctp" ? null : (left.shift() ?? null),
  }))
}

/** Leads claimed ports to a container that is connected: by the kernel, or where that is of no use, by a process. Throws ToyboxError. */
export async function publishForContainer({ quiet }: ContainerRequest, paths: Paths, live: Live): Promise<void> {
  const { id, record, places, lock } = live
  const place = places.find(({ bridge }) => !bridge.network.internal)
  if (place === undefined)
    throw new ToyboxError("-p: ports are not published from networks that are --internal", {
      hint: "leave -p out, or add a network that is not internal",
    })
  const ports = record.ports ?? []
  const obstacle = await obstacleOf(place.bridge)
  const forwarded = obstacle === null ? ports.filter(({ address }) => address === LOOPBACK6) : ports
  const led = ports.filter((port) => !forwarded.includes(port))
  if (led.length > 0)
    publish(id, publishedPorts(led), reachedAt(place.endpoint), {
      runs: (other) => readRunning(paths, other) !== null,
      nameOf: (other) => readHead(paths, other)?.name ?? other.slice(0, 12),
    })
  if (forwarded.length === 0) return
  if (obstacle !== null && !quiet) notice(`${obstacle}: published ports go through a process of toybox's own`)
  const { startForwarder } = await import("./forwarder.ts")
  record.forwarder = startForwarder(paths, id, record.started, place.endpoint.ip, forwarded)
  updateRunning(lock, record)
}

// What comes from there is not led elsewhere by any kernel.
const LOOPBACK6 = "::1"

/** Why the kernel does not lead ports to containers; null where it does. */
async function obstacleOf({ network, index }: Bridge): Promise<string | null> {
  if (!hasNfTables()) return "the kernel has no nf_tables"
  const { obstaclesOf } = await import("../network/firewall/obstacles.ts")
  const { ports } = obstaclesOf({ ...network, index })
  return ports && `the firewall of this machine (${ports.tool}) drops what is forwarded to ${network.bridge}`
}

/**
 * A firewall of somebody else's may drop what comes from containers: that is told, with what it lacks, when it is not known to
 * have been told before.
 */
export async function warnOfDrops({ network, index }: Bridge): Promise<void> {
  const { obstaclesOf } = await import("../network/firewall/obstacles.ts")
  const { outside, within, rules } = obstaclesOf({ ...network, index })
  const drop = outside ?? within
  if (drop === null) return
  const lost = outside
    ? "containers do not reach the outside before"
    : `containers of the network ${network.name} do not reach one another before`
  notice(
    `the firewall of this machine (${drop.tool}) drops what is forwarded: ${lost}\n${rules.map((rule) => `  ${rule}`).join("\n")}`,
  )
}
