/** Containers that could take their neighbours' addresses are kept from it. */
import { unlink } from "../../ffi/fs.ts"
import { notice } from "../log.ts"
import { guardedPath } from "../network/bridge.ts"
import { type Endpoint, macBytes } from "../network/endpoint.ts"
import { areGuarded, type Guarded, guard, setMark, unguard } from "../network/firewall/guard.ts"
import { addressOf } from "../network/network.ts"
import type { Paths } from "../paths.ts"
import { isSharedByForger } from "./shared-mark.ts"
import { readRunning, runningIds } from "./state.ts"

/** An endpoint as the guard of bridges knows it. */
export const asGuarded = ({ link, mac, ip, ip6 }: Endpoint): Guarded => ({
  link,
  mac: macBytes(mac),
  ip: addressOf(ip),
  ip6: ip6 === undefined ? null : addressOf(ip6),
})

const connected = (endpoints: readonly Endpoint[]) => endpoints.filter(({ link }) => link !== "")

/** Lets from a container's links only what comes from its addresses. Throws ToyboxError. */
export function guardPlaces(paths: Paths, endpoints: readonly Endpoint[], quiet: boolean): void {
  const links = connected(endpoints)
  if (links.length > 0 && !guard(links.map(asGuarded), guardedPath(paths)) && !quiet)
    notice(
      "the kernel has no nf_tables for bridges: with NET_ADMIN or NET_RAW the container could take its neighbours' addresses",
    )
}

/** Those of containers that run, by their ids. */
const guardedPlaces = (paths: Paths): { id: string; endpoints: readonly Endpoint[] }[] =>
  runningIds(paths).flatMap((id) => {
    const networks = connected(readRunning(paths, id)?.networks ?? [])
    const endpoints = isSharedByForger(paths, id) ? networks : networks.filter(({ guarded }) => guarded)
    return endpoints.length === 0 ? [] : [{ id, endpoints }]
  })

const allOf = (places: ReturnType<typeof guardedPlaces>) => places.flatMap(({ endpoints }) => endpoints.map(asGuarded))

/** Whether nothing is missing of it, of any container that runs. */
export const areAllGuarded = (paths: Paths): boolean => areGuarded(allOf(guardedPlaces(paths)))

/** The same for all that run: somebody has removed it. Throws ToyboxError. */
export function guardAgain(paths: Paths): void {
  const mark = guardedPath(paths)
  // First: who starts meanwhile sets it after that.
  unlink(mark)
  const places = guardedPlaces(paths)
  if (places.length === 0) return
  if (areGuarded(allOf(places))) {
    setMark(mark)
    return
  }
  guard(allOf(places), mark)
  // Who has ended meanwhile may have taken back what was not there yet.
  for (const { id, endpoints } of places) if (readRunning(paths, id) === null) unguardPlaces(paths, endpoints)
}

/** Takes that back; where nothing is there it does nothing. */
export const unguardPlaces = (paths: Paths, endpoints: readonly Endpoint[]): void =>
  unguard(connected(endpoints).map(asGuarded), guardedPath(paths))
