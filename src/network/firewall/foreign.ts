/**
 * Other people's firewalls: an accept of toybox's is not final, so that a chain of theirs which drops what is forwarded has the
 * last word. Only looked at, never changed.
 */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { decodeAttributes, find, readBe32, readString } from "../../../ffi/netlink/attributes.ts"
import { attributesOf, type Received } from "../../../ffi/netlink/messages.ts"
import { dump } from "../../../ffi/netlink/socket.ts"
import { getAllChains } from "./requests.ts"
import { withSocket } from "./table.ts"

/** A chain as somebody has made it. */
export interface ForeignChain {
  readonly family: "inet" | "ip" | "ip6"
  readonly table: string
  readonly name: string
  /** NF_INET_*; null of a chain that packets come to by jumps. */
  readonly hook: number | null
  readonly drops: boolean
}

/** Who drops what is forwarded, by the chain that does it. */
export interface ForwardDrop {
  readonly tool: "docker" | "ufw" | "firewalld" | "iptables" | "nft"
  readonly family: ForeignChain["family"]
  readonly table: string
  readonly chain: string
}

const NFGENMSG = 4
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
  const number = hook && find(decodeAttributes(hook), nf.NFTA_HOOK_HOOKNUM)
  const policy = find(attributes, nf.NFTA_CHAIN_POLICY)
  return [
    {
      family,
      table: readString(table),
      name: readString(name),
      hook: number === undefined ? null : readBe32(number),
      drops: policy !== undefined && readBe32(policy) === nf.NF_DROP,
    },
  ]
}

/** All chains of nf_tables, of iptables-nft, too; none where the kernel has no nf_tables. */
export function allChains(): ForeignChain[] {
  try {
    return withSocket((socket) => dump(socket, getAllChains()).flatMap(decodeChain))
  } catch (error) {
    if (isErrno(error, "EOPNOTSUPP", "EPROTONOSUPPORT", "EAFNOSUPPORT", "EINVAL", "EPERM")) return []
    throw error
  }
}

function toolOf(chain: ForeignChain, all: readonly ForeignChain[]): ForwardDrop["tool"] {
  const beside = (name: string) =>
    all.some((one) => one.family === chain.family && one.table === chain.table && one.name === name)
  if (chain.table === "firewalld") return "firewalld"
  // The names that iptables-nft gives to its own.
  if (chain.table !== "filter" || chain.name !== "FORWARD" || chain.family === "inet") return "nft"
  const ufw = chain.family === "ip" ? "ufw-user-forward" : "ufw6-user-forward"
  return beside("DOCKER-USER") ? "docker" : beside(ufw) ? "ufw" : "iptables"
}

/**
 * Who drops forwarded packets that he does not know. firewalld's chain refuses them by its last rule, whatever its policy is.
 * A single rule of somebody's that drops more is not seen.
 */
export function forwardDrops(chains: readonly ForeignChain[]): ForwardDrop[] {
  return chains
    .filter(({ hook, drops, table }) => hook === nf.NF_INET_FORWARD && (drops || table === "firewalld"))
    .map((chain) => ({
      tool: toolOf(chain, chains),
      family: chain.family,
      table: chain.table,
      chain: chain.name,
    }))
}

/** What its owner has to enter so that containers of a bridge reach the outside. */
export function missingRules({ tool, family, table, chain }: ForwardDrop, bridge: string): string[] {
  const iptables = family === "ip6" ? "ip6tables" : "iptables"
  switch (tool) {
    case "firewalld":
      return [`firewall-cmd --permanent --zone=trusted --add-interface=${bridge}`, "firewall-cmd --reload"]
    case "ufw":
      return [`ufw route allow in on ${bridge}`]
    case "docker":
    case "iptables": {
      const into = tool === "docker" ? "DOCKER-USER" : chain
      return [
        `${iptables} -I ${into} -i ${bridge} -j ACCEPT`,
        `${iptables} -I ${into} -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      ]
    }
    case "nft":
      return [
        `nft insert rule ${family} ${table} ${chain} iifname ${bridge} accept`,
        `nft insert rule ${family} ${table} ${chain} oifname ${bridge} ct state established,related accept`,
      ]
  }
}
