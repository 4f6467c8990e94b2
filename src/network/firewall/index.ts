/**
 * What toybox has nf_tables do for networks and published ports, in a table of its own: all or nothing, several at once, and
 * nothing left when the last network is gone.
 */
import { tryReadText, writeText } from "../../../ffi/fs.ts"
import type { Message } from "../../../ffi/netlink/messages.ts"
import type { NetlinkSocket } from "../../../ffi/netlink/socket.ts"
import { ToyboxError } from "../../errors.ts"
import { asElement, type KnownElement } from "./answers.ts"
import { forgetUdp, type UdpTarget } from "./conntrack.ts"
import {
  type ContainerAddresses,
  type Entries,
  type FirewallNetwork,
  forwardedEntries,
  networkEntries,
  type PublishedPort,
  portEntries,
  udpTarget,
} from "./elements.ts"
import { once } from "./once.ts"
import { addElements, deleteElements, deleteTable, type Element, type Table } from "./requests.ts"
import { hasSet, type SetName, setNames, tableMessages } from "./ruleset.ts"
import {
  elementsOf,
  ensureTables,
  type Firewall,
  findTables,
  generationOf,
  isWhole,
  removeUnused,
  sendBatch,
  withSocket,
  withTables,
} from "./table.ts"

export type { ContainerAddresses, FirewallNetwork, PublishedPort } from "./elements.ts"
export { hasNfTables, hasTables } from "./table.ts"

/** What is published of a container. */
export interface Published {
  /** The container's. */
  id: string
  /** Those that the kernel leads to it, */
  ports: readonly PublishedPort[]
  /** where it is reached. */
  addresses: ContainerAddresses
  /** Those that a process serves. */
  served: readonly PublishedPort[]
}

const ledEntries = ({ id, ports, addresses }: Published): Entries => portEntries(id, ports, addresses)

const ATTEMPTS = 50

const hex = (bytes: Uint8Array) => bytes.toHex()

function messagesFor(
  tables: readonly Table[],
  entries: Entries,
  make: (table: Table, set: SetName, elements: readonly Element[]) => Message[],
): Message[] {
  return entries.flatMap(({ set, elements }) =>
    tables.filter((table) => hasSet(table, set)).flatMap((table) => make(table, set, elements)),
  )
}

/** What goes from 127.0.0.1 of the host to a published port may leave by the bridge: ip-sysctl.rst. Goes with the link. */
function letLocalhostIn({ bridge, internal }: FirewallNetwork): void {
  const path = `/proc/sys/net/ipv4/conf/${bridge}/route_localnet`
  if (!internal && tryReadText(path)?.trim() === "0") writeText(path, "1")
}

/** Those of these that are not there. */
function missing(firewall: Firewall, entries: Entries): Entries {
  const keysOf = once((set: SetName) => new Set(elementsOf(firewall, set).map(({ key, end }) => `${hex(key)} ${end}`)))
  return entries.flatMap(({ set, elements }) => {
    const known = keysOf(set)
    const left = elements.filter(({ key, end }) => !known.has(`${hex(key)} ${end ?? false}`))
    return left.length === 0 ? [] : [{ set, elements: left }]
  })
}

const areThere = (entries: Entries): boolean =>
  withSocket((socket) => {
    const tables = findTables(socket)
    return tables.length > 0 && missing({ socket, tables }, entries).length === 0
  })

/** Whether nothing is missing of toybox's table, and of what these networks have in it. Throws ToyboxError. */
export const areWhole = (networks: readonly FirewallNetwork[]): boolean =>
  withSocket((socket) => {
    const tables = findTables(socket)
    if (tables.length === 0 || !tables.every((table) => isWhole(socket, table))) return false
    return missing({ socket, tables }, networks.flatMap(networkEntries)).length === 0
  })

/**
 * Makes sure that packets of networks are let through, masqueraded and kept from other networks: what is missing is added, and a
 * table whose rules are not what they were is made anew, with what is in it. Throws ToyboxError where the kernel cannot, or a
 * table of our name is somebody else's.
 */
export function ensureNetworks(networks: readonly FirewallNetwork[]): void {
  const entries = networks.flatMap(networkEntries)
  withSocket((socket) => {
    for (let attempt = 0; ; attempt++) {
      const tables = ensureTables(socket)
      const before = generationOf(socket)
      const broken = tables.filter((table) => !isWhole(socket, table))
      const kept = broken.flatMap((table) => [deleteTable(table), ...tableMessages(table), ...contents(socket, table)])
      const left = broken.length > 0 ? entries : missing({ socket, tables }, entries)
      const added = messagesFor(tables, left, (table, set, elements) => addElements(table, set, elements))
      // What others add after a table was read would be lost with it: then the batch is refused.
      const [error] = sendBatch(socket, [...kept, ...added], broken.length > 0 ? before : undefined)
      if (error === undefined) break
      // Or the last network went, and the table with it.
      if (!["ENOENT", "ERESTART"].includes(error.errno) || attempt >= ATTEMPTS) throw error
    }
  })
  for (const network of networks) letLocalhostIn(network)
}

/** What adds the elements of a table to another that is in its place. */
const contents = (socket: NetlinkSocket, table: Table): Message[] =>
  setNames(table).flatMap((set) => addElements(table, set, elementsOf({ socket, tables: [table] }, set).map(asElement)))

/** Where datagrams are led by published ports among these. */
const udpTargets = (entries: Entries): UdpTarget[] =>
  entries.flatMap(({ elements }) => elements.flatMap((element) => udpTarget(element) ?? []))

/** Removes ports that are published, and what the kernel remembers of them. */
function removePorts(firewall: Firewall, entries: Entries): void {
  removeEntries(firewall, entries)
  forgetUdp(firewall.socket, udpTargets(entries))
}

/** Removes each of these that is there. */
function removeEntries(firewall: Firewall, entries: Entries): void {
  const { socket, tables } = firewall
  const remove = (some: Entries) => sendBatch(socket, messagesFor(tables, some, deleteElements))
  const [error] = remove(entries)
  if (error === undefined) return
  if (error.errno !== "ENOENT") throw error
  const gone = missing(firewall, entries)
  const isGone = (set: SetName, element: Element) =>
    gone.some((one) => one.set === set && one.elements.includes(element))
  const known = entries.map(({ set, elements }) => ({ set, elements: elements.filter((one) => !isGone(set, one)) }))
  const [again] = remove(known.filter(({ elements }) => elements.length > 0))
  // Somebody else has removed them since.
  if (again && again.errno !== "ENOENT") throw again
}

/** Takes back what ensureNetworks did, and the table, if this was the last network. Where nothing is there it does nothing. */
export function removeNetwork(network: FirewallNetwork): void {
  withTables((firewall) => {
    removeEntries(firewall, networkEntries(network))
    removeUnused(firewall.socket)
  })
}

/** Elements that are in the way of some, with the container that they belong to. */
function conflicts(
  firewall: Firewall,
  entries: Entries,
): { set: SetName; element: Element; known: KnownElement; owner: string }[] {
  return entries.flatMap(({ set, elements }) => {
    const known = new Map(elementsOf(firewall, set).map((element) => [hex(element.key), element]))
    return elements.flatMap((element) => {
      const other = known.get(hex(element.key))
      return other === undefined ? [] : [{ set, element, known: other, owner: other.comment ?? "" }]
    })
  })
}

/**
 * Publishes ports of a container that is on a network of ensureNetworks: all of them, or none. Ports that a container has
 * which does not run any more are taken from it. Networks that are --internal are kept from those that a process serves, too.
 * Throws ToyboxError where one is another's: `nameOf` gives what people call it.
 */
export function publish(
  published: Published,
  { runs, nameOf }: { runs: (id: string) => boolean; nameOf: (id: string) => string },
): void {
  const { id } = published
  const entries = ledEntries(published)
  withSocket((socket) => {
    for (let attempt = 0; ; attempt++) {
      const tables = ensureTables(socket)
      const [error] = sendBatch(socket, [
        ...messagesFor(tables, entries, (table, set, elements) => addElements(table, set, elements, true)),
        ...messagesFor(tables, forwardedEntries(published.served), (...one) => addElements(...one)),
      ])
      if (error === undefined) return forgetUdp(socket, udpTargets(entries))
      if (!["EEXIST", "ENOENT"].includes(error.errno) || attempt >= ATTEMPTS) throw error
      const others = conflicts({ socket, tables }, entries)
      const taken = others.find(({ owner }) => owner !== id && runs(owner))
      if (taken) throw portTaken(taken.element, nameOf(taken.owner))
      removePorts(
        { socket, tables },
        others.map(({ set, known }) => ({ set, elements: [asElement(known)] })),
      )
    }
  })
}

/** Whether what publish did is still there. */
export const arePublished = (published: Published): boolean =>
  areThere([...ledEntries(published), ...forwardedEntries(published.served)])

function portTaken({ text }: Element, holder: string): ToyboxError {
  const [, protocol = "", port = ""] = /(tcp|udp|sctp) \. (\d+)/.exec(text) ?? []
  return new ToyboxError(`port ${port}/${protocol} of the host is taken by the container ${holder}`, {
    hint: "publish another port, or stop that container",
  })
}

/** Takes back what publish did. Where nothing is there it does nothing. */
export function unpublish(id: string, ports: readonly PublishedPort[], addresses: ContainerAddresses): void {
  withTables((firewall) => removePorts(firewall, portEntries(id, ports, addresses)))
}

/** Takes back what publish did about ports that are served. Where nothing is there it does nothing. */
export const openToInternal = (ports: readonly PublishedPort[]): void =>
  withTables((firewall) => removeEntries(firewall, forwardedEntries(ports)))

/** Keeps networks that are --internal from ports that are served. Where there is no network it does nothing. */
export const keepFromInternal = (ports: readonly PublishedPort[]): void =>
  withTables(({ socket, tables }) => {
    const [error] = sendBatch(
      socket,
      messagesFor(tables, forwardedEntries(ports), (...one) => addElements(...one)),
    )
    if (error && error.errno !== "ENOENT") throw error
  })

const describe = (entries: Entries): string[] =>
  entries.flatMap(({ set, elements }) =>
    elements.filter(({ end }) => !end).map(({ text }) => `nft add element inet toybox ${set} '{ ${text} }'`),
  )

/** Whether there is nothing missing of what a network has in the table. */
export const isKnown = (network: FirewallNetwork): boolean => areThere(networkEntries(network))

/** The lines of nft(8) that do what ensureNetworks does where toybox's table is there already. */
export const describeNetwork = (network: FirewallNetwork): string[] => describe(networkEntries(network))

/** The lines of nft(8) that do what publish does. */
export const describePublish = (published: Published): string[] =>
  describe([...ledEntries(published), ...forwardedEntries(published.served)])
