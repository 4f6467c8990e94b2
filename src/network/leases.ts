/**
 * Who has which address: a symbolic link named by the address, to the id of the container. Making one is atomic, so that no
 * two get the same, and one whose container does not run any more is nobody's.
 */
import { listDir } from "../../ffi/directory.ts"
import { isLink, readLink, symlink, unlink } from "../../ffi/fs.ts"
import { formatIp, parseIp } from "./ip.ts"
import type { Cidr } from "./links.ts"
import { addressAt, lastOffset, offsetIn } from "./subnets.ts"

/** Addresses that may be given away: those from `first` to `last` after the network's own, but for `reserved` ones. */
export interface Pool {
  subnet: Cidr
  first: number
  last: number
  /** Offsets, of the gateway for one. */
  reserved: ReadonlySet<number>
}

/** All of a network but its own address, its last one where that is a broadcast address, and those that are somebody's, as the gateway's. */
export function wholePool(subnet: Cidr, reserved: readonly Uint8Array[]): Pool {
  return {
    subnet,
    first: 1,
    last: lastOffset(subnet),
    reserved: new Set(reserved.flatMap((address) => offsetIn(subnet, address) ?? [])),
  }
}

/** Whether a container runs. */
export interface Containers {
  runs(id: string): boolean
}

/** The ids of those who have addresses, each once. */
export const holdersOf = (directory: string): string[] => [
  ...new Set(listDir(directory).flatMap((name) => readLink(`${directory}/${name}`) ?? [])),
]

/** Takes this address for a container; false where another has it. */
export function takeAddress(directory: string, address: Uint8Array, id: string): boolean {
  const path = `${directory}/${formatIp(address)}`
  return symlink(id, path) || readLink(path) === id
}

/** By how much further is looked each time, for one that is free: few questions until then, few after that. */
const STRIDE = 8

/** So many that others take at the same moment are passed over. */
const MOST_PASSED = 256

/**
 * Takes a free address; null where none is left. The lowest, as long as none has been given back: where the taken ones end is
 * found by halves, for to list them costs the more the more there are.
 */
export function takeFreeAddress(directory: string, pool: Pool, id: string): Uint8Array | null {
  const { subnet, first, last, reserved } = pool
  const size = last - first + 1
  const addressOf = (position: number) => addressAt(subnet, first + position)
  // One that is reserved tells nothing of those before it.
  const isTaken = (position: number): boolean =>
    reserved.has(first + position) ? isTaken(position + 1) : isLink(`${directory}/${formatIp(addressOf(position))}`)
  let [taken, free] = [-1, 0]
  while (free < size && isTaken(free)) [taken, free] = [free, STRIDE * (free + 1) - 1]
  free = Math.min(free, size)
  while (free - taken > 1) {
    const middle = (taken + free) >> 1
    if (isTaken(middle)) taken = middle
    else free = middle
  }
  for (let position = free; position < size && position - free < MOST_PASSED; position++) {
    const address = addressOf(position)
    if (!reserved.has(first + position) && symlink(id, `${directory}/${formatIp(address)}`)) return address
  }
  return takeAnyAddress(directory, pool, id)
}

/** The same by a list of those that are taken: there are few left. */
function takeAnyAddress(directory: string, { subnet, first, last, reserved }: Pool, id: string): Uint8Array | null {
  const isFour = subnet.ip.length === 4
  const taken = new Set(listDir(directory).filter((name) => name.includes(":") !== isFour))
  const size = last - first + 1
  for (let i = 0; i < size; i++) {
    const offset = first + i
    if (reserved.has(offset)) continue
    const address = addressAt(subnet, offset)
    const name = formatIp(address)
    // Somebody else may have taken it since.
    if (!taken.has(name) && symlink(id, `${directory}/${name}`)) return address
  }
  return null
}

/** Gives an address back, if it is still this container's. */
export function releaseAddress(directory: string, address: Uint8Array, id: string): void {
  const path = `${directory}/${formatIp(address)}`
  if (readLink(path) === id) unlink(path)
}

function releaseWhere(directory: string, isMeant: (id: string) => boolean): void {
  for (const name of listDir(directory)) {
    const id = readLink(`${directory}/${name}`)
    if (id !== null && isMeant(id)) unlink(`${directory}/${name}`)
  }
}

/** Takes from all who do not run what they had: a killed toybox could not give it back. */
export const releaseDead = (directory: string, runs: (id: string) => boolean): void =>
  releaseWhere(directory, (id) => !runs(id))

/** Takes from a container whatever it has in a network. */
export const releaseAll = (directory: string, id: string): void => releaseWhere(directory, (holder) => holder === id)

/** Gives back all addresses that a container had, in any network; `networks` is the directory of their directories. */
export function leavePlaces(
  networks: string,
  id: string,
  places: readonly { networkId: string; ip: string; ip6?: string }[],
): void {
  for (const { networkId, ip, ip6 } of places) {
    for (const text of ip6 === undefined ? [ip] : [ip6, ip]) {
      const address = parseIp(text)
      if (address) releaseAddress(`${networks}/${networkId}`, address, id)
    }
  }
}
