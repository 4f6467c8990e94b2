/** Containers that could take their neighbours' addresses are kept from it. */
import { notice } from "../log.ts"
import { type Endpoint, macBytes } from "../network/endpoint.ts"
import { type Guarded, guard, unguard } from "../network/firewall/guard.ts"
import { addressOf } from "../network/network.ts"

/** An endpoint as the guard of bridges knows it. */
export const asGuarded = ({ link, mac, ip, ip6 }: Endpoint): Guarded => ({
  link,
  mac: macBytes(mac),
  ip: addressOf(ip),
  ip6: ip6 === undefined ? null : addressOf(ip6),
})

const connected = (endpoints: readonly Endpoint[]) => endpoints.filter(({ link }) => link !== "")

/** Lets from a container's links only what comes from its addresses. Throws ToyboxError. */
export function guardPlaces(endpoints: readonly Endpoint[], quiet: boolean): void {
  const links = connected(endpoints)
  if (links.length > 0 && !guard(links.map(asGuarded)) && !quiet)
    notice(
      "the kernel has no nf_tables for bridges: with NET_ADMIN or NET_RAW the container could take its neighbours' addresses",
    )
}

/** Takes that back; where nothing is there it does nothing. */
export const unguardPlaces = (endpoints: readonly Endpoint[]): void => unguard(connected(endpoints).map(asGuarded))
