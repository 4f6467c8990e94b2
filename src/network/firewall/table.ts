/** toybox's table in the kernel: made when it is first needed, gone with the last network. nf_tables over netlink(7). */
import { NETLINK_NETFILTER } from "../../../ffi/constants/netlink.ts"
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { isErrno, SyscallError } from "../../../ffi/errno.ts"
import { BogusAnswer, find, readString } from "../../../ffi/netlink/attributes.ts"
import type { NetlinkError } from "../../../ffi/netlink/errors.ts"
import { attributesOf, type Message } from "../../../ffi/netlink/messages.ts"
import { closeNetlink, dump, type NetlinkSocket, openNetlink, request, transact } from "../../../ffi/netlink/socket.ts"
import { ToyboxError } from "../../errors.ts"
import { decodeElements, decodeGeneration, type KnownElement } from "./answers.ts"
import {
  batch,
  deleteTable,
  getAllRules,
  getChain,
  getElements,
  getGeneration,
  getTable,
  type Table,
} from "./requests.ts"
import { hasSet, MARK, ruleCount, type SetName, tableMessages } from "./ruleset.ts"

/** One for both families where the kernel has NAT for that (5.2), else one for each. */
const TABLES = [
  [{ family: "inet", name: "toybox" }],
  [
    { family: "ip", name: "toybox" },
    { family: "ip6", name: "toybox" },
  ],
] as const satisfies readonly (readonly Table[])[]

/** A socket, and toybox's tables of the network namespace that it is in; none where nothing needs them. */
export interface Firewall {
  readonly socket: NetlinkSocket
  readonly tables: readonly Table[]
}

const ATTEMPTS = 50
const NFGENMSG = 4

/** Carries out something with a socket. Throws SyscallError where the kernel has no netfilter. */
export function withSocket<T>(use: (socket: NetlinkSocket) => T): T {
  const socket = openNetlink(NETLINK_NETFILTER)
  try {
    return use(socket)
  } finally {
    closeNetlink(socket)
  }
}

/** Whether nf_tables answers, built in or loaded (the kernel loads it when asked). */
export function hasNfTables(): boolean {
  try {
    withSocket((socket) => request(socket, getGeneration()))
    return true
  } catch (error) {
    if (error instanceof SyscallError) return false
    throw error
  }
}

/** The generation of the rules. */
export function generationOf(socket: NetlinkSocket): number {
  const [answer] = request(socket, getGeneration())
  if (answer === undefined) throw new BogusAnswer("netlink: no answer to: nft list ruleset")
  return decodeGeneration(answer)
}

/** The number of what rules there are, which every change of anybody's makes another. Throws SyscallError without nf_tables. */
export const generation = (): number => withSocket(generationOf)

/** Whether a table of ours has as many rules as it was made with. */
export function isWhole(socket: NetlinkSocket, table: Table, count = ruleCount(table)): boolean {
  try {
    const rules = dump(socket, getAllRules(table)).filter((message) => {
      const name = find(attributesOf(message, NFGENMSG), nf.NFTA_RULE_TABLE)
      // Kernels before 4.14 tell of all tables, whatever they are asked.
      return name !== undefined && readString(name) === table.name
    })
    return rules.length === count
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false
    throw error
  }
}

/** Whether what is asked for is there. */
export function exists(socket: NetlinkSocket, message: Message): boolean {
  try {
    request(socket, message)
    return true
  } catch (error) {
    if (isErrno(error, "ENOENT", "EOPNOTSUPP", "EAFNOSUPPORT")) return false
    throw error
  }
}

/** A table with our name is not ours: then there are no rules of ours. */
class ForeignTable extends ToyboxError {}

/**
 * Whether a table is there that toybox has made. Throws ToyboxError where one of its name is somebody else's, or another toybox's,
 * of another shape.
 */
export function isOurs(socket: NetlinkSocket, table: Table, mark: string): boolean {
  const isMarked = () => exists(socket, getChain(table, mark))
  // Asked once more: it may just have been made.
  if (isMarked()) return true
  if (!exists(socket, getTable(table))) return false
  if (isMarked()) return true
  throw new ForeignTable(
    `nf_tables: there is a table ${table.family} ${table.name} that this version of toybox has not made`,
    { hint: `if nothing uses it: nft delete table ${table.family} ${table.name}` },
  )
}

/** toybox's tables, as they are; none where there is none. Throws ToyboxError where isOurs does. */
export function findTables(socket: NetlinkSocket): readonly Table[] {
  for (const tables of TABLES)
    if (tables.filter((table) => isOurs(socket, table, MARK)).length === tables.length) return tables
  return []
}

/** As findTables; null where a table of our name is not ours. */
function ownTables(socket: NetlinkSocket): readonly Table[] | null {
  try {
    return findTables(socket)
  } catch (error) {
    if (error instanceof ForeignTable) return null
    throw error
  }
}

/** Whether there is a network of some toybox, maybe of another version. */
export const hasTables = (): boolean => withSocket((socket) => ownTables(socket)?.length !== 0)

/** Carries out something with toybox's tables: nothing where there are none, or the kernel has no nf_tables. */
export function withTables(use: (firewall: Firewall) => void): void {
  if (!hasNfTables()) return
  withSocket((socket) => {
    const tables = ownTables(socket) ?? []
    if (tables.length > 0) use({ socket, tables })
  })
}

/** Sends a batch; the errors, none where all of it has taken effect. */
export const sendBatch = (socket: NetlinkSocket, messages: readonly Message[], generation?: number): NetlinkError[] =>
  messages.length === 0 ? [] : transact(socket, batch(messages, generation)).errors

function makeTables(socket: NetlinkSocket): NetlinkError | null {
  let refused: NetlinkError | null = null
  for (const tables of TABLES) {
    const [error] = sendBatch(
      socket,
      tables.flatMap((table) => tableMessages(table)),
    )
    if (error === undefined || error.errno === "EEXIST") return null
    refused ??= error
  }
  return refused
}

/** toybox's tables, made if need be, by one of several who ask at once. Throws ToyboxError. */
export function ensureTables(socket: NetlinkSocket): readonly Table[] {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = findTables(socket)
    if (found.length > 0) return found
    const refused = makeTables(socket)
    if (refused)
      throw new ToyboxError(`nf_tables: the kernel refuses toybox's rules: ${refused.message}`, {
        hint: "it needs CONFIG_NF_TABLES, _INET, NFT_NAT, NFT_MASQ, NFT_CT and NFT_FIB (linux 4.14 or newer); or use --net host|none",
      })
  }
  throw new ToyboxError("nf_tables: toybox's table disappears as often as it is made")
}

/** All elements of a set; none where the table has gone meanwhile. */
export function elementsOf({ socket, tables }: Firewall, set: SetName): KnownElement[] {
  const table = tables.find((one) => hasSet(one, set))
  if (table === undefined) return []
  try {
    return decodeElements(dump(socket, getElements(table, set)))
  } catch (error) {
    if (isErrno(error, "ENOENT")) return []
    throw error
  }
}

/** Removes the tables, if no network is in them any more. */
export function removeUnused(socket: NetlinkSocket): void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const tables = findTables(socket)
    const before = generationOf(socket)
    if (tables.length === 0 || elementsOf({ socket, tables }, "bridges").length > 0) return
    // Somebody may just be adding a network: then the generation is another, and the batch is refused.
    const [error] = sendBatch(socket, tables.map(deleteTable), before)
    if (error === undefined) return
    if (!["ERESTART", "ENOENT"].includes(error.errno)) throw error
  }
}
