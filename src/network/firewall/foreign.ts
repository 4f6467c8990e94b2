/**
 * Other people's firewalls: an accept of toybox's is not final, so that a chain of theirs which drops what is forwarded has the
 * last word. Only looked at, never changed.
 */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { decodeAttributes, find, findIn, readBe32, readString } from "../../../ffi/netlink/attributes.ts"
import { attributesOf, type Received } from "../../../ffi/netlink/messages.ts"
import { dump, type NetlinkSocket, request } from "../../../ffi/netlink/socket.ts"
import { decodeElements } from "./answers.ts"
import { judge, openRule, type Rule } from "./judge.ts"
import { type KnownSet, type Machine, machineFor, type Sets } from "./machine.ts"
import { once } from "./once.ts"
import type { Packet } from "./packet.ts"
import { getAllChains, getElements, getRules, type Table } from "./requests.ts"
import { hasNfTables, withSocket } from "./table.ts"

/** A chain as somebody has made it. */
export interface ForeignChain {
  readonly family: "inet" | "ip" | "ip6"
  readonly table: string
  readonly name: string
  /** NF_INET_*; null of a chain that packets come to by jumps. */
  readonly hook: number | null
  /** What comes by several is judged by the lowest first. */
  readonly priority: number
  /** What becomes of a packet that none of its rules means. */
  readonly drops: boolean
}

/** Who drops a packet, by the chain that it came to. */
export interface ForwardDrop {
  readonly tool: "docker" | "ufw" | "firewalld" | "iptables" | "nft"
  readonly family: ForeignChain["family"]
  readonly table: string
  readonly chain: string
}

/** A firewall, as it is now. */
export interface ForeignFirewall {
  /** Who drops a packet that is forwarded; null: nobody. */
  drops(packet: Packet): ForwardDrop | null
}

const NFGENMSG = 4
const OUR_TABLE = "toybox"
const FAMILIES: Readonly<Record<number, ForeignChain["family"]>> = {
  [nf.NFPROTO_INET]: "inet",
  [nf.NFPROTO_IPV4]: "ip",
  [nf.NFPROTO_IPV6]: "ip6",
}

function decodeChain(message: Received): ForeignChain[] {
  const family = FAMILIES[message.payload[0] ?? 0]
  const attributes = attributesOf(message, NFGENMSG)
  const [table, name] = [nf.NFTA_CHAIN_TABLE, nf.NFTA_CHAIN_NAME].map((type) => find(attributes, type))
  if (family === undefined || table === undefined || name === undefined) return []
  const hook = find(attributes, nf.NFTA_CHAIN_HOOK)
  const of = (type: number) => hook && find(decodeAttributes(hook), type)
  const [number, priority] = [of(nf.NFTA_HOOK_HOOKNUM), of(nf.NFTA_HOOK_PRIORITY)]
  const policy = find(attributes, nf.NFTA_CHAIN_POLICY)
  return [
    {
      family,
      table: readString(table),
      name: readString(name),
      hook: number === undefined ? null : readBe32(number),
      priority: priority === undefined ? 0 : readBe32(priority) | 0,
      drops: policy !== undefined && readBe32(policy) === nf.NF_DROP,
    },
  ]
}

/** Whose a chain is, by the names that they give to it and to others of its table. */
export function toolOf(
  chain: Pick<ForeignChain, "family" | "table" | "name">,
  besides: readonly string[],
): ForwardDrop["tool"] {
  if (chain.table === "firewalld") return "firewalld"
  // The names that iptables-nft gives to its own.
  if (chain.table !== "filter" || chain.name !== "FORWARD" || chain.family === "inet") return "nft"
  const ufw = chain.family === "ip" ? "ufw-user-forward" : "ufw6-user-forward"
  return besides.includes("DOCKER-USER") ? "docker" : besides.includes(ufw) ? "ufw" : "iptables"
}

// As many as the kernel lets chains jump on: NFT_JUMP_STACK_SIZE.
const DEEPEST = 16

/** A table of somebody's, read as far as it is asked for. */
interface ForeignTable {
  /** A chain's, in order. */
  rules(chain: string): readonly Rule[]
  sets: Sets
}

/** What is read, nothing where it has just been removed. */
function unlessGone(read: () => Received[]): Received[] {
  try {
    return read()
  } catch (error) {
    if (isErrno(error, "ENOENT")) return []
    throw error
  }
}

// Of some hundred elements each.
const MOST_MESSAGES = 4
const ALL_OTHERS = new Uint8Array()

/** A set of somebody's. Of a list of 100,000 addresses the kernel finds the one that is meant sooner than it tells of all. */
function readSet(socket: NetlinkSocket, table: Table, name: string): KnownSet {
  const messages = unlessGone(() => withSocket((own) => dump(own, getElements(table, name), MOST_MESSAGES)))
  const elements = decodeElements(messages)
  if (messages.length <= MOST_MESSAGES) return { elements }
  const get = (key: Uint8Array) =>
    decodeElements(unlessGone(() => request(socket, getElements(table, name, { key, text: "" }))))[0]
  return { elements, get: (value) => get(value) ?? get(ALL_OTHERS) ?? null }
}

function readRules(socket: NetlinkSocket, table: Table, chain: string): Rule[] {
  const wanted = new TextEncoder().encode(`${chain}\0`)
  return unlessGone(() => dump(socket, getRules(table, chain))).flatMap(({ payload }) => {
    const name = findIn(payload, nf.NFTA_RULE_CHAIN, NFGENMSG)
    // Kernels before 4.17 tell of all chains, whatever they are asked.
    if (name === undefined || Buffer.compare(name, wanted) !== 0) return []
    return [openRule(findIn(payload, nf.NFTA_RULE_EXPRESSIONS, NFGENMSG) ?? new Uint8Array())]
  })
}

const openTable = (socket: NetlinkSocket, table: Table): ForeignTable => ({
  rules: once((chain) => readRules(socket, table, chain)),
  sets: once((set) => readSet(socket, table, set)),
})

/** What becomes of a packet in a chain; null: it is through, and nobody has said anything. */
function passThrough(
  name: string,
  rules: ForeignTable["rules"],
  machine: Machine,
  depth = 0,
): "accept" | "drop" | null {
  if (depth > DEEPEST) return null
  for (const rule of rules(name)) {
    const verdict = judge(rule, machine)
    if (verdict === null) continue
    if (!("chain" in verdict)) return verdict.kind === "return" ? null : verdict.kind
    const found = passThrough(verdict.chain, rules, machine, depth + 1)
    if (found !== null || verdict.kind === "goto") return found
  }
  return null
}

/** Asks that of nf_tables, of iptables-nft, too; where the kernel has none nobody drops anything. */
export function askNft<T>(use: (firewall: ForeignFirewall) => T): T {
  if (!hasNfTables()) return use({ drops: () => null })
  return withSocket((socket) => {
    const all = dump(socket, getAllChains()).flatMap(decodeChain)
    const judges = all
      .filter(({ hook, table }) => hook === nf.NF_INET_FORWARD && table !== OUR_TABLE)
      .sort((a, b) => a.priority - b.priority)
    const tables = once((text: string) => {
      const [family, name] = JSON.parse(text) as [ForeignChain["family"], string]
      return openTable(socket, { family, name })
    })
    return use({
      drops(packet) {
        const dropping = judges.find((chain) => {
          const { family, table, name } = chain
          if (family !== "inet" && family !== packet.family) return false
          const { rules, sets } = tables(JSON.stringify([family, table]))
          const verdict = passThrough(name, rules, machineFor(packet, sets))
          return verdict === "drop" || (verdict === null && chain.drops)
        })
        if (!dropping) return null
        const { family, table, name } = dropping
        const besides = all.filter((one) => one.family === family && one.table === table).map((one) => one.name)
        return { tool: toolOf(dropping, besides), family, table, chain: name }
      },
    })
  })
}

/** What of a network's traffic somebody drops: towards the outside, the answers to it, or between its containers. */
export interface Dropped {
  readonly out: ForwardDrop | null
  readonly back: ForwardDrop | null
  readonly within: ForwardDrop | null
}

/** What the owner of a firewall has to enter so that what it drops is let through. */
export function missingRules({ out, back, within }: Dropped, bridge: string): string[] {
  const rules = [
    out ? rulesOf(out, bridge).out : [],
    back ? rulesOf(back, bridge).back : [],
    // What may go anywhere may go there.
    within && !out ? rulesOf(within, bridge).within : [],
  ]
  return [...new Set(rules.flat())]
}

function rulesOf(
  { tool, family, table, chain }: ForwardDrop,
  bridge: string,
): Record<"out" | "back" | "within", readonly string[]> {
  const firewalld = [`firewall-cmd --permanent --zone=trusted --add-interface=${bridge}`, "firewall-cmd --reload"]
  if (tool === "firewalld") return { out: firewalld, back: firewalld, within: firewalld }
  if (tool === "ufw") {
    const route = `ufw route allow in on ${bridge}`
    return { out: [route], back: [`ufw route allow out on ${bridge}`], within: [`${route} out on ${bridge}`] }
  }
  if (tool === "nft") {
    const insert = `nft insert rule ${family} ${table} ${chain}`
    return {
      out: [`${insert} iifname ${bridge} accept`],
      back: [`${insert} oifname ${bridge} ct state established,related accept`],
      within: [`${insert} iifname ${bridge} oifname ${bridge} accept`],
    }
  }
  const insert = `${family === "ip6" ? "ip6tables" : "iptables"} -I ${tool === "docker" ? "DOCKER-USER" : chain}`
  return {
    out: [`${insert} -i ${bridge} -j ACCEPT`],
    back: [`${insert} -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`],
    within: [`${insert} -i ${bridge} -o ${bridge} -j ACCEPT`],
  }
}
