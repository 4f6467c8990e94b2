/** Published ports of a container: claimed before its start, led to it when it is connected, given back at its end. */
import { ToyboxError } from "../errors.ts"
import { notice } from "../log.ts"
import { claimPorts } from "../network/claims.ts"
import type { Place } from "../network/endpoint.ts"
import { publish } from "../network/firewall/index.ts"
import { formatIp } from "../network/ip.ts"
import { type PortWish, type Protocol, publishAll } from "../network/ports.ts"
import { publishedPorts, reachedAt } from "../network/published.ts"
import type { Paths } from "../paths.ts"
import { recover } from "./recover.ts"
import type { ContainerRequest } from "./request.ts"
import { type RunningRecord, readHead, readRunning, runningIds } from "./state.ts"

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

/** Leads claimed ports to a container that is connected. Throws ToyboxError. */
export async function publishForContainer(
  { quiet }: ContainerRequest,
  paths: Paths,
  { id, record, places }: { id: string; record: RunningRecord; places: readonly Place[] },
): Promise<void> {
  const place = places.find(({ bridge }) => !bridge.network.internal)
  if (place === undefined)
    throw new ToyboxError("-p: ports are not published from networks that are --internal", {
      hint: "leave -p out, or add a network that is not internal",
    })
  publish(id, publishedPorts(record.ports ?? []), reachedAt(place.endpoint), {
    runs: (other) => readRunning(paths, other) !== null,
    nameOf: (other) => readHead(paths, other)?.name ?? other.slice(0, 12),
  })
  if (!quiet) await warnOfDrops(place.bridge.network.bridge)
}

/** A firewall of somebody else's may drop what is led to a container: that is told, with what it lacks. */
async function warnOfDrops(bridge: string): Promise<void> {
  const { allChains, forwardDrops, missingForPorts } = await import("../network/firewall/foreign.ts")
  const { legacyChains } = await import("../network/firewall/legacy.ts")
  const drops = forwardDrops([...allChains(), ...legacyChains()])
  const [first] = drops
  if (first === undefined) return
  const rules = drops.flatMap((drop) => missingForPorts(drop, bridge))
  notice(
    `the firewall of this machine (${first.tool}) drops what is forwarded: published ports are reached from this machine, and not from others before\n${rules.map((rule) => `  ${rule}`).join("\n")}`,
  )
}
