/** Networks as numbers: which overlap, which are free. Pure. */
import type { Cidr } from "./links.ts"

const value = (bytes: Uint8Array): bigint => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

/** The address that is `offset` after the first one of a network. */
export function addressAt({ ip, prefix }: Cidr, offset: number): Uint8Array {
  const address = ip.map((byte, i) => byte & ~(0xff >> Math.min(8, Math.max(0, prefix - 8 * i))))
  // On the path of every start: no bigints, which cost more than the system call that asks for the address.
  let rest = offset
  for (let i = address.length - 1; rest > 0 && i >= 0; i--) {
    rest += address[i] ?? 0
    address[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return address
}

/** How far an address is from the first one of a network; null where it is outside, or too far to be a number. */
export function offsetIn({ ip, prefix }: Cidr, address: Uint8Array): number | null {
  const host = BigInt(8 * ip.length - prefix)
  const [network, other] = [value(ip) >> host, value(address)]
  if (address.length !== ip.length || other >> host !== network) return null
  const offset = other - (network << host)
  return offset > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(offset)
}

/** How far the last address that a machine may have is from the first one of a network: IPv4 has broadcasts at the very last. */
export const lastOffset = ({ ip, prefix }: Cidr): number =>
  2 ** Math.min(8 * ip.length - prefix, 32) - (ip.length === 4 ? 2 : 1)

/** Whether two networks have an address in common. */
export function overlap(a: Cidr, b: Cidr): boolean {
  if (a.ip.length !== b.ip.length) return false
  const host = BigInt(8 * a.ip.length - Math.min(a.prefix, b.prefix))
  return value(a.ip) >> host === value(b.ip) >> host
}

/** Those that docker takes, too, in its order: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 and on. */
export const candidates = (): Cidr[] => [
  ...Array.from({ length: 15 }, (_, i) => ({ ip: Uint8Array.of(172, 17 + i, 0, 0), prefix: 16 })),
  ...Array.from({ length: 16 }, (_, i) => ({ ip: Uint8Array.of(192, 168, 16 * i, 0), prefix: 20 })),
]

// A tunnel that takes all traffic has two routes of one bit in place of a default one.
const ALL = 1

/**
 * Whether a network that somebody has chosen is in the way of a route, which it is not where the route is the broader one: the
 * network is what it says then, and the rest of the route's addresses are still reached by it.
 */
export const isInTheWay = (network: Cidr, route: Cidr): boolean =>
  route.prefix >= network.prefix && overlap(network, route)

/**
 * The first network that overlaps neither others nor a route, but for a default one; where there is none, the first that is in
 * no route's way. Null where there is none of that either.
 */
export function freeSubnet(
  routes: readonly Cidr[],
  networks: readonly Cidr[] = [],
  among: readonly Cidr[] = candidates(),
): Cidr | null {
  const free = among.filter((candidate) => !networks.some((other) => overlap(candidate, other)))
  const narrow = routes.filter(({ prefix }) => prefix > ALL)
  return (
    free.find((candidate) => !narrow.some((route) => overlap(candidate, route))) ??
    free.find((candidate) => !routes.some((route) => isInTheWay(candidate, route))) ??
    null
  )
}
