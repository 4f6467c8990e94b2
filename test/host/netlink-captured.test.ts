/** What toybox sends over netlink, against what ip(8) and nft(8) send for the lines that it says are the same. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readlinkSync } from "node:fs"
import * as nf from "../../ffi/constants/nf_tables.ts"
import * as rt from "../../ffi/constants/rtnetlink.ts"
import { networkEntries, portEntries } from "../../src/network/firewall/elements.ts"
import { addElements } from "../../src/network/firewall/requests.ts"
import { tableMessages, tableShape } from "../../src/network/firewall/ruleset.ts"
import { describeShape } from "../../src/network/firewall/table-shape.ts"
import { parseIp } from "../../src/network/ip.ts"
import { describeLink, type LinkStep, linkMessage } from "../../src/network/links.ts"
import { capture, type Protocol, requestsIn, requestsOf, type Shown, type Tree } from "../helpers/captured.ts"

const isRoot = process.getuid?.() === 0
const NAMESPACE = `captured-${process.pid}`
const ip = (...words: string[]) => {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["ip", ...words])
  if (exitCode !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`)
  return stdout.toString()
}

/** Whose network namespace the other ends go to. */
let peer: Bun.Subprocess

beforeAll(() => {
  if (!isRoot) return
  ip("netns", "add", NAMESPACE)
  peer = Bun.spawn(["unshare", "--net", "sleep", "60"])
  while (readlinkSync(`/proc/${peer.pid}/ns/net`) === readlinkSync("/proc/self/ns/net")) Bun.sleepSync(2)
})
afterAll(async () => {
  if (!isRoot) return
  ip("netns", "delete", NAMESPACE)
  peer.kill()
  await peer.exited
})

const ROUTE: Protocol = {
  header: (type) => (type < rt.RTM_NEWADDR ? 16 : type < rt.RTM_NEWROUTE ? 8 : 12),
  nest: (_, path) => ({ "18": 0, "18,2": 0, "18,5": 0, [`18,2,${rt.VETH_INFO_PEER}`]: 16 })[path.join(",")] ?? null,
}

const mac = (last: number) => Uint8Array.of(2, 0x42, 0, 0, 0, last)
const address = (text: string, prefix: number) => ({ ip: parseIp(text) as Uint8Array, prefix })

describe.skipIf(!isRoot)("rtnetlink, as ip sends it", () => {
  const indexes = () =>
    new Map(
      (JSON.parse(ip("-n", NAMESPACE, "-j", "link")) as { ifname: string; ifindex: number }[]).map((link) => [
        link.ifname,
        link.ifindex,
      ]),
    )

  /** By its name: ip looks the number up first. */
  function byName({ type, header, attributes }: Shown, names: ReadonlyMap<number, string>): Shown {
    const index = Number.parseInt(header.slice(8, 16).match(/../g)?.reverse().join("") ?? "", 16)
    const name = type === rt.RTM_NEWLINK || type === rt.RTM_DELLINK ? names.get(index) : undefined
    if (name === undefined) return { type, header, attributes }
    const named = [rt.IFLA_IFNAME, new TextEncoder().encode(name).toHex()] as const
    return {
      type,
      header: `${header.slice(0, 8)}00000000${header.slice(16)}`,
      attributes: [...attributes, named].sort(([a], [b]) => a - b),
    }
  }

  const STEPS: ((index: (name: string) => number) => LinkStep)[] = [
    () => ({ kind: "bridge", name: "tb0", mac: mac(1) }),
    () => ({ kind: "mtu", name: "tb0", mtu: 1400 }),
    () => ({ kind: "alias", name: "tb0", alias: "whose it is" }),
    (index) => ({
      kind: "veth",
      name: "v0",
      mtu: 1400,
      bridge: { name: "tb0", index: index("tb0") },
      peer: { name: "e0", mac: mac(2), pid: peer.pid },
    }),
    () => ({ kind: "port", name: "v0", isolated: true, hairpin: true }),
    () => ({ kind: "port", name: "v0", isolated: false, hairpin: false }),
    () => ({ kind: "up", name: "v0" }),
    (index) => ({ kind: "address", link: { name: "tb0", index: index("tb0") }, address: address("10.9.0.1", 20) }),
    (index) => ({ kind: "address", link: { name: "tb0", index: index("tb0") }, address: address("fd00:9::1", 64) }),
    (index) => ({
      kind: "default-route",
      link: { name: "tb0", index: index("tb0") },
      gateway: address("10.9.0.2", 32).ip,
    }),
    (index) => ({
      kind: "default-route",
      link: { name: "tb0", index: index("tb0") },
      gateway: address("fd00:9::2", 128).ip,
    }),
    () => ({ kind: "delete", name: "v0" }),
  ]

  /** Without what can be said in two ways. */
  function plain({ type, header, attributes }: Shown): Shown {
    const flags = attributes.find(([own]) => own === rt.IFA_FLAGS)?.[1]
    // Those of an address may be in its header or, since there are too many of them, beside it.
    if (type === rt.RTM_NEWADDR && typeof flags === "string") {
      const others = attributes.filter(([own]) => own !== rt.IFA_FLAGS)
      return { type, header: header.slice(0, 4) + flags + header.slice(6), attributes: others }
    }
    return { type, header, attributes }
  }

  // The kernel goes by the bridge that the port is of, whatever kind is named.
  const withoutKind = (tree: Tree): Tree =>
    tree.map(([type, value]) =>
      type === rt.IFLA_LINKINFO && typeof value !== "string"
        ? ([type, value.filter(([own]) => own !== rt.IFLA_INFO_KIND && own !== rt.IFLA_INFO_SLAVE_KIND)] as const)
        : ([type, value] as const),
    )

  test("each step, one after the other", () => {
    for (const make of STEPS) {
      const before = indexes()
      const names = new Map([...before].map(([name, index]) => [index, name]))
      const step = make((name) => before.get(name) ?? 0)
      const line = describeLink(step)
      const words = line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', "")) ?? []
      const sent = capture(["ip", "-n", NAMESPACE, ...words.slice(1)])
      // What it asks before is not what it does.
      const theirs = requestsIn(sent.at(-1) ?? new Uint8Array(), ROUTE).map((request) => byName(request, names))
      const ours = requestsOf([linkMessage(step)], ROUTE)
      const shown = (requests: Shown[]) =>
        step.kind === "port"
          ? requests.map((one) => ({ ...one, attributes: withoutKind(one.attributes) }))
          : requests.map(plain)
      expect({ line, requests: shown(ours) }).toEqual({ line, requests: shown(theirs) })
    }
  })
})

const messageType = (type: number) => (nf.NFNL_SUBSYS_NFTABLES << 8) | type
const NESTED: Readonly<Record<number, readonly string[]>> = {
  [messageType(nf.NFT_MSG_NEWCHAIN)]: [`${nf.NFTA_CHAIN_HOOK}`],
  [messageType(nf.NFT_MSG_NEWRULE)]: [
    `${nf.NFTA_RULE_EXPRESSIONS}`,
    `${nf.NFTA_RULE_EXPRESSIONS},1`,
    `${nf.NFTA_RULE_EXPRESSIONS},1,2`,
  ],
  [messageType(nf.NFT_MSG_NEWSETELEM)]: ["3", "3,1", "3,1,1", "3,1,2"],
}
const NF_TABLES: Protocol = {
  header: () => 4,
  nest: (type, path) => (NESTED[type]?.includes(path.join(",")) ? 0 : null),
}

// NFTA_LOOKUP_SET_ID, in linux/netfilter/nf_tables.h.
const LOOKUP_SET_ID = 4
// NFTA_SET_ELEM_LIST_SET_ID.
const LIST_SET_ID = 4
const LOOKUP = new TextEncoder().encode("lookup").toHex()

/** Without the number that a set has in a batch, beside its name. */
function withoutSetId(tree: Tree): Tree {
  const isLookup = tree.some(([type, value]) => type === 1 && value === LOOKUP)
  return tree.map(([type, value]) => {
    if (typeof value === "string") return [type, value] as const
    const inner = isLookup && type === 2 ? value.filter(([own]) => own !== LOOKUP_SET_ID) : value
    return [type, withoutSetId(inner)] as const
  })
}

describe.skipIf(!isRoot)("nf_tables, as nft sends it", () => {
  test.each(["inet", "ip", "ip6"] as const)("the table of the family %s", (family) => {
    const table = { family, name: "toybox" } as const
    const sent = capture(
      ["ip", "netns", "exec", NAMESPACE, "nft", "-f", "-"],
      describeShape(tableShape(table)).join("\n"),
    )
    const theirs = sent.flatMap((bytes) => requestsIn(bytes, NF_TABLES)).filter(({ type }) => type >= messageType(0))
    const ours = requestsOf(tableMessages(table), NF_TABLES)
    // nft's notes for itself, which change with its version.
    const isNote = (type: number, own: number) =>
      type === messageType(nf.NFT_MSG_NEWSET) && own === nf.NFTA_SET_USERDATA
    const of = (requests: readonly Shown[], wanted: number) =>
      requests
        .filter(({ type }) => type === messageType(wanted))
        .map(({ attributes, ...one }) => ({
          ...one,
          attributes: withoutSetId(attributes.filter(([own]) => !isNote(one.type, own))),
        }))
    for (const type of [nf.NFT_MSG_NEWTABLE, nf.NFT_MSG_NEWCHAIN, nf.NFT_MSG_NEWSET, nf.NFT_MSG_NEWRULE]) {
      expect(of(ours, type)).toEqual(of(theirs, type))
    }
  })

  test("elements, of networks and of published ports", () => {
    const table = { family: "inet", name: "toybox" } as const
    const network = {
      bridge: "tb0",
      subnets: [address("10.9.0.0", 20), address("fd00:9::", 64)],
      internal: false,
      masquerade: true,
      isolated: false,
    }
    const at = { address: null, host: 8080, container: 80 }
    const ports = [
      { ...at, protocol: "tcp" },
      { ...at, protocol: "udp", host: 53 },
      { ...at, protocol: "tcp", address: address("192.0.2.1", 32).ip, host: 443 },
      { ...at, protocol: "tcp", address: address("2001:db8::1", 128).ip, host: 444 },
    ] as const
    const container = { ip: address("10.9.0.7", 32).ip, ip6: address("fd00:9::7", 128).ip }
    const entries = [...networkEntries(network), ...portEntries("0123456789ab", ports, container)]
    const internal = networkEntries({ ...network, bridge: "tb1", subnets: [], internal: true })
    // Of ranges nft writes the gap before the first one, too.
    const single = [...entries, ...internal].filter(({ elements }) => elements.every(({ end }) => end === undefined))
    for (const { set, elements } of single) {
      // nft numbers those of a list.
      for (const message of elements.flatMap((one) => addElements(table, set, [one]))) {
        const words = ["ip", "netns", "exec", NAMESPACE, "nft", "-f", "-"]
        const theirs = capture(words, message.what.replace(/^nft /, "")).flatMap((bytes) =>
          requestsIn(bytes, NF_TABLES),
        )
        const own = theirs
          .filter(({ type }) => type === messageType(nf.NFT_MSG_NEWSETELEM))
          .map((one) => ({ ...one, attributes: one.attributes.filter(([type]) => type !== LIST_SET_ID) }))
        expect({ line: message.what, requests: requestsOf([message], NF_TABLES) }).toEqual({
          line: message.what,
          requests: own,
        })
      }
    }
  })
})
