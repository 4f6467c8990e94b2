/** Networks of toybox: what is kept of them, one file a network. */

import { listDir } from "../../ffi/directory.ts"
import { unlink } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import { recordThings } from "../event-file.ts"
import type { Paths } from "../paths.ts"
import { readJson, writeDurably } from "../state-file.ts"
import { parseIp } from "./ip.ts"
import type { Cidr } from "./links.ts"
import { addressAt } from "./subnets.ts"

/** networks/NAME.json. Subnets are in CIDR notation, their first address; gateways are the bridge's addresses. */
export interface Network {
  name: string
  /** 64 hexadecimal digits. */
  id: string
  /** ISO 8601. */
  created: string
  /** The name of the link. */
  bridge: string
  subnet: string
  gateway: string
  /** Null: without IPv6. */
  subnet6: string | null
  gateway6: string | null
  /** IPv6 was asked for; without, it has some where the machine has. */
  asked6?: true
  /** The part of `subnet` that addresses are given from; null for all of it. */
  range: string | null
  internal: boolean
  /** Its containers do not reach one another. */
  isolated: boolean
  masquerade: boolean
  /** In bytes; null: that of the default route's link. */
  mtu: number | null
  labels: Record<string, string>
  /** Where its containers' ports are published that ask for no address; as for any other where it is not said. */
  hostBinding?: string
  /** Addresses that no container is given, besides the gateways'. */
  reserved?: readonly string[]
}

/** Of a network. */
export const NETWORK_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/

const pathOf = (paths: Paths, name: string) => `${paths.networks}/${name}.json`

/** Where the addresses are that are in use in a network. */
export const leasesOf = (paths: Paths, { id }: Network): string => `${paths.networkRun}/${id}`

/** Parses NETWORK/PREFIX; null where it is none. Bits after the prefix are cleared. */
export function parseCidr(text: string): Cidr | null {
  const [address = "", length = "", ...rest] = text.split("/")
  const ip = parseIp(address)
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (ip === null || rest.length > 0 || prefix < 1 || prefix > ip.length * 8) return null
  return { ip: addressAt({ ip, prefix }, 0), prefix }
}

/** A subnet of a network that was read from its file. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === null) throw new ToyboxError(`"${text}" in the file of a network is no subnet`)
  return cidr
}

/** An address of a network that was read from its file. */
export function addressOf(text: string): Uint8Array {
  const ip = parseIp(text)
  if (ip === null) throw new ToyboxError(`"${text}" in the file of a network is no address`)
  return ip
}

export const subnetsOf = ({ subnet, subnet6 }: Pick<Network, "subnet" | "subnet6">): Cidr[] => [
  cidrOf(subnet),
  ...(subnet6 === null ? [] : [cidrOf(subnet6)]),
]

/** A network by its name; null where there is none. */
export const findNetwork = (paths: Paths, name: string): Network | null =>
  NETWORK_NAME.test(name) ? readJson<Network>(pathOf(paths, name)) : null

/** All of them, by name. */
export const listNetworks = (paths: Paths): Network[] =>
  listDir(paths.networks)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .flatMap((file) => readJson<Network>(`${paths.networks}/${file}`) ?? [])

/** A network by its name or the beginning of its id. Throws ToyboxError where there is none. */
export function networkNamed(paths: Paths, reference: string): Network {
  const named = findNetwork(paths, reference)
  if (named) return named
  const found = /^[0-9a-f]+$/.test(reference) ? listNetworks(paths).filter(({ id }) => id.startsWith(reference)) : []
  if (found.length === 1 && found[0]) return found[0]
  if (reference === "none" || reference === "host")
    throw new ToyboxError(`"${reference}" stands for no network of toybox's`, {
      hint: `run --net ${reference} makes a container with it`,
    })
  throw new ToyboxError(`there is no network "${reference}"`, {
    hint: `toybox network create ${reference} makes one; toybox network ls lists them`,
  })
}

/** Writes a network down; it is there from then on. */
export const keepNetwork = (paths: Paths, network: Network): void =>
  writeDurably(pathOf(paths, network.name), new TextEncoder().encode(JSON.stringify(network)))

const tell = (paths: Paths, action: "create" | "destroy", { id, name }: Network): void =>
  recordThings(paths, { type: "network", action, id, attributes: { name, type: "bridge" } })

/** As keepNetwork, of a new one. */
export function keepNewNetwork(paths: Paths, network: Network): void {
  keepNetwork(paths, network)
  tell(paths, "create", network)
}

/** Forgets a network; its link is gone. */
export function forgetNetwork(paths: Paths, network: Network): void {
  unlink(pathOf(paths, network.name))
  tell(paths, "destroy", network)
}
