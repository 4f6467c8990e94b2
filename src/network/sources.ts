/**
 * From which IPv6 addresses a container may send. Of IPv4 the kernel takes only those that it has; of IPv6 any that a socket asks
 * for without any privilege (IPV6_FREEBIND: ipv6(7)), its neighbours' among them. The rules of its routes keep it to its own:
 * ip-rule(8). Who may give itself addresses is another's business (firewall/guard.ts).
 */
import { NLM_F_CREATE, NLM_F_EXCL } from "../../ffi/constants/netlink.ts"
import * as rt from "../../ffi/constants/rtnetlink.ts"
import { AF_INET6 } from "../../ffi/constants/socket.ts"
import { bytes, text, u32 } from "../../ffi/netlink/attributes.ts"
import type { Message } from "../../ffi/netlink/messages.ts"
import { type NetlinkSocket, requestAside } from "../../ffi/netlink/socket.ts"
import { type Endpoint, macBytes } from "./endpoint.ts"
import { LOOPBACK6, UNSPECIFIED } from "./firewall/parts.ts"
import { linkLocal } from "./ip.ts"
import { type Cidr, formatCidr } from "./links.ts"
import { addressOf } from "./network.ts"

/** `from` is of what comes from here; a packet whose address is still to be chosen is from none. */
type Rule = SourceRule | { priority: number; action: "local" }
type SourceRule = { priority: number; from: Cidr; action: "own" | "prohibit" }

// The machine's own rules, of the tables local and main, are 0 and 32766.
const FIRST = 0
const OWN = 10
const OTHERS = 20
const LOCAL = 30

const LOOPBACK: Cidr = { ip: LOOPBACK6, prefix: 128 }
const HALVES: readonly Cidr[] = [UNSPECIFIED, UNSPECIFIED.with(0, 0x80)].map((ip) => ({ ip, prefix: 1 }))

const LOCAL_FIRST: Rule = { priority: FIRST, action: "local" }
const LOCAL_LATER: Rule = { priority: LOCAL, action: "local" }

const own = (from: Cidr): SourceRule => ({ priority: OWN, from, action: "own" })

/** Of every container. */
const COMMON: readonly Rule[] = [
  own(LOOPBACK),
  ...HALVES.map((from): Rule => ({ priority: OTHERS, from, action: "prohibit" })),
]

const ownRules = ({ mac, ip6 }: Pick<Endpoint, "mac" | "ip6">): SourceRule[] =>
  [linkLocal(macBytes(mac)), ...(ip6 === undefined ? [] : [addressOf(ip6)])].map((ip) => own({ ip, prefix: 128 }))

type Change = readonly ["add" | "delete", Rule]

/** Those of local addresses come after them, for the way of multicast is one of these. */
const holding = (endpoints: readonly Endpoint[]): Change[] => [
  ...[LOCAL_LATER, ...endpoints.flatMap(ownRules), ...COMMON].map((rule) => ["add", rule] as const),
  ["delete", LOCAL_FIRST],
]

const ACTIONS = { own: "goto", prohibit: "prohibit", local: "lookup local" } as const

function describeRule([verb, rule]: Change): string {
  const from = "from" in rule ? `from ${formatCidr(rule.from)} iif lo ` : ""
  const action = rule.action === "own" ? `${ACTIONS.own} ${LOCAL}` : ACTIONS[rule.action]
  return `ip -6 rule ${verb} ${from}priority ${rule.priority} ${action}`
}

const ACTION_NUMBERS = { own: rt.FR_ACT_GOTO, prohibit: rt.FR_ACT_PROHIBIT, local: rt.FR_ACT_TO_TBL } as const

/** struct fib_rule_hdr. */
const ruleHeader = (rule: Rule): Uint8Array =>
  Uint8Array.of(
    ...[AF_INET6, 0, "from" in rule ? rule.from.prefix : 0, 0],
    ...[rule.action === "local" ? rt.RT_TABLE_LOCAL : 0, 0, 0, ACTION_NUMBERS[rule.action]],
    ...[0, 0, 0, 0],
  )

function ruleMessage(change: Change): Message {
  const [verb, rule] = change
  const from = "from" in rule ? [bytes(rt.FRA_SRC, rule.from.ip), text(rt.FRA_IIFNAME, "lo")] : []
  const goto = rule.action === "own" ? [u32(rt.FRA_GOTO, LOCAL)] : []
  return {
    type: verb === "add" ? rt.RTM_NEWRULE : rt.RTM_DELRULE,
    flags: verb === "add" ? NLM_F_CREATE | NLM_F_EXCL : 0,
    header: ruleHeader(rule),
    attributes: [u32(rt.FRA_PRIORITY, rule.priority), ...from, ...goto],
    what: describeRule(change),
  }
}

/** What is as it is to be already is no matter; and a kernel may have no IPv6, or no rules of it (CONFIG_IPV6_MULTIPLE_TABLES). */
const NO_MATTER = ["EEXIST", "ENOENT", "EAFNOSUPPORT", "EOPNOTSUPP"]

const change = (socket: NetlinkSocket, changes: readonly Change[]) =>
  requestAside(socket, NO_MATTER, ...changes.map(ruleMessage))

const heldOf = (endpoints: readonly Endpoint[]) => endpoints.filter(({ guarded, roams }) => !guarded && !roams)

/** Keeps a container, in whose network namespace the socket is, to the addresses of these places and those of before. */
export function holdSources(socket: NetlinkSocket, endpoints: readonly Endpoint[], before: readonly Endpoint[]): void {
  const held = heldOf(endpoints)
  if (held.length > 0) change(socket, holding([...before, ...held]))
}

/** The lines of ip(8) that do the same. */
export const describeSources = (endpoints: readonly Endpoint[]): string[] => {
  const held = heldOf(endpoints)
  return held.length === 0 ? [] : holding(held).map(describeRule)
}

/** It is not in these places any more, but in those that it `keeps`, which may have the same link-local address. */
export function loseSources(socket: NetlinkSocket, endpoints: readonly Endpoint[], keeps: readonly Endpoint[]): void {
  const kept = new Set(keeps.flatMap(ownRules).map(({ from }) => formatCidr(from)))
  const lost = heldOf(endpoints).flatMap(ownRules)
  const gone = lost.filter(({ from }) => !kept.has(formatCidr(from)))
  if (gone.length > 0)
    change(
      socket,
      gone.map((rule) => ["delete", rule]),
    )
}

/** Takes back what holdSources did, all of it. */
export function freeSources(socket: NetlinkSocket, endpoints: readonly Endpoint[]): void {
  const rules = [...COMMON, ...endpoints.flatMap(ownRules), LOCAL_LATER]
  change(socket, [["add", LOCAL_FIRST], ...rules.map((rule) => ["delete", rule] as const)])
}
