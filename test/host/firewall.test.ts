import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import {
  type ContainerAddresses,
  describeNetwork,
  describePublish,
  type FirewallNetwork,
  type PublishedPort,
} from "../../src/network/firewall/index.ts"
import type { Table } from "../../src/network/firewall/requests.ts"
import { tableShape } from "../../src/network/firewall/ruleset.ts"
import { describeShape } from "../../src/network/firewall/table-shape.ts"
import { parseIp } from "../../src/network/ip.ts"
import { makeNamespace, type Namespace } from "../helpers/network.ts"

const ip = (text: string) => parseIp(text) ?? new Uint8Array()
const cidr = (text: string) => ({ ip: ip(text.split("/")[0] ?? ""), prefix: Number(text.split("/")[1]) })

type Step =
  | { kind: "table"; table: Table }
  | { kind: "flush" }
  | { kind: "ensure" | "remove"; network: FirewallNetwork }
  | { kind: "publish" | "unpublish"; id: string; ports: PublishedPort[]; addresses: ContainerAddresses }

const CHILD = [process.execPath, `${import.meta.dir}/firewall-child.ts`]

/** Carries steps out, in a process of their own; what errors they had. */
async function carryOut(where: Namespace, steps: readonly Step[], running: readonly string[] = []): Promise<string[]> {
  const replacer = (_key: string, value: unknown) => (value instanceof Uint8Array ? { hex: value.toHex() } : value)
  return JSON.parse(await where.run(CHILD, JSON.stringify({ steps, running }, replacer)))
}

const nft = (where: Namespace, ...words: string[]) => where.run(["nft", ...words])

/** What nft reads back as JSON, without what is another one's every time. */
async function ruleset(where: Namespace): Promise<unknown[]> {
  const { nftables } = JSON.parse(await nft(where, "-j", "list", "ruleset"))
  const list = JSON.parse(JSON.stringify(nftables), (key, value) => (key === "handle" ? undefined : value))
  return list.filter((one: object) => !("metainfo" in one))
}

const namespaces: Namespace[] = []
async function namespace(): Promise<Namespace> {
  const made = await makeNamespace()
  namespaces.push(made)
  return made
}
afterAll(() => Promise.all(namespaces.map((one) => one.close())))

const blue: FirewallNetwork = {
  bridge: "tbblue",
  subnets: [cidr("10.88.0.0/24"), cidr("fd00:88::/64")],
  internal: false,
  masquerade: true,
  isolated: false,
}
// Its neighbour in the numbers.
const red: FirewallNetwork = { ...blue, bridge: "tbred", subnets: [cidr("10.88.1.0/24")] }
const dark: FirewallNetwork = { ...blue, bridge: "tbdark", subnets: [cidr("10.99.0.0/16")], internal: true }
const apart: FirewallNetwork = { ...blue, bridge: "tbapart", subnets: [cidr("10.98.0.0/28")], isolated: true }

const addresses: ContainerAddresses = { ip: ip("10.88.0.2"), ip6: ip("fd00:88::2") }
const ports: PublishedPort[] = [
  { protocol: "tcp", address: null, host: 8080, container: 80 },
  { protocol: "udp", address: ip("0.0.0.0"), host: 53, container: 5353 },
  { protocol: "sctp", address: ip("::"), host: 9, container: 65_535 },
  { protocol: "tcp", address: ip("127.0.0.1"), host: 443, container: 443 },
  { protocol: "tcp", address: ip("fd00::7"), host: 443, container: 443 },
]

describe("the table", () => {
  test.each(["inet", "ip", "ip6"] as const)(
    "of family %s is what nft makes of its text",
    async (family) => {
      const table = { family, name: "toybox" }
      const [ours, theirs] = await Promise.all([namespace(), namespace()])
      expect(await carryOut(ours, [{ kind: "table", table }])).toEqual([])
      await theirs.run(["nft", "-f", "-"], describeShape(tableShape(table)).join("\n"))
      expect(await ruleset(ours)).toEqual(await ruleset(theirs))
      expect((await ruleset(ours)).length).toBeGreaterThan(20)
      // Expression by expression, register by register, as the kernel has them.
      const raw = async (where: Namespace) => await nft(where, "--debug=netlink", "list", "ruleset")
      expect(await raw(ours)).toBe(await raw(theirs))
      expect(await raw(ours)).toContain("lookup reg 1 set bridges")
    },
    60_000,
  )

  test("networks and ports in it are what nft makes of the lines shown for them", async () => {
    const [ours, theirs] = await Promise.all([namespace(), namespace()])
    const networks = [blue, red, dark, apart]
    const steps: Step[] = networks.map((network) => ({ kind: "ensure", network }))
    const done = await carryOut(ours, [...steps, { kind: "publish", id: "c1", ports, addresses }])
    expect(done).toEqual([])
    await theirs.run(["nft", "-f", "-"], describeShape(tableShape({ family: "inet", name: "toybox" })).join("\n"))
    for (const line of [
      ...networks.flatMap(describeNetwork),
      ...describePublish({ id: "c1", ports, addresses, served: [] }),
    ])
      await theirs.run(["sh", "-c", line])
    const sorted = (list: unknown[]) =>
      JSON.parse(JSON.stringify(list), (key, value) =>
        key === "elem" && Array.isArray(value)
          ? value.toSorted((a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
          : value,
      )
    expect(sorted(await ruleset(ours))).toEqual(sorted(await ruleset(theirs)))
    const text = await nft(ours, "list", "ruleset")
    expect(text).toContain('tcp . 8080 comment "c1" : 10.88.0.2 . 80')
    expect(text).toContain('127.0.0.1 . tcp . 443 comment "c1" : 10.88.0.2 . 443')
    expect(text).toContain('fd00::7 . tcp . 443 comment "c1" : fd00:88::2 . 443')
    expect(text).not.toContain("0.0.0.0 .")
  }, 60_000)
})

describe("toybox's rules", () => {
  let host: Namespace
  beforeAll(async () => {
    host = await namespace()
    // Somebody else's, of which nothing may change.
    await host.run(
      ["nft", "-f", "-"],
      'table inet filter { chain forward { type filter hook forward priority 0; iifname "eth9" accept; }; }',
    )
  })
  const others = async () => (await ruleset(host)).filter((one) => !JSON.stringify(one).includes('"toybox"'))

  test("come and go with networks and containers, and leave nothing", async () => {
    const before = await ruleset(host)
    const all: Step[] = [
      { kind: "ensure", network: blue },
      { kind: "ensure", network: blue },
      { kind: "ensure", network: red },
      { kind: "publish", id: "c1", ports, addresses },
    ]
    expect(await carryOut(host, all)).toEqual([])
    expect(await others()).toEqual(before)
    const some: Step[] = [
      { kind: "unpublish", id: "c1", ports, addresses },
      { kind: "unpublish", id: "c1", ports, addresses },
      { kind: "remove", network: blue },
      { kind: "remove", network: blue },
    ]
    expect(await carryOut(host, some)).toEqual([])
    const left = await nft(host, "list", "ruleset")
    for (const gone of ["tbblue", "10.88.0.", "fd00:", "c1"]) expect(left).not.toContain(gone)
    expect(left).toContain("10.88.1.0/24")
    expect(await carryOut(host, [{ kind: "remove", network: red }])).toEqual([])
    expect(await ruleset(host)).toEqual(before)
  }, 60_000)

  test("give a port to one container only, unless that does not run any more", async () => {
    const [one] = ports
    if (one === undefined) throw new Error("no port")
    const step = (kind: "publish" | "unpublish", id: string): Step => ({
      ...{ kind, id, addresses },
      ports: [{ ...one, host: 1234 }, one],
    })
    const publish = (id: string) => step("publish", id)
    expect(await carryOut(host, [{ kind: "ensure", network: blue }, publish("c1"), publish("c1")])).toEqual([])
    expect(await carryOut(host, [publish("c2")], ["c1"])).toEqual([
      "port 1234/tcp of the host is taken by the container name-of-c1",
    ])
    // All or nothing.
    const partly: Step = { kind: "publish", id: "c2", ports: [{ ...one, host: 999 }, one], addresses }
    expect(await carryOut(host, [partly], ["c1"])).toHaveLength(1)
    expect(await nft(host, "list", "map", "inet", "toybox", "ports4")).not.toContain("999")
    expect(await carryOut(host, [publish("c2")], [])).toEqual([])
    expect(await nft(host, "list", "map", "inet", "toybox", "ports4")).not.toContain("c1")
    expect(await carryOut(host, [step("unpublish", "c2")])).toEqual([])
    expect(await nft(host, "list", "ruleset")).not.toContain("c2")
    expect(await carryOut(host, [{ kind: "remove", network: blue }])).toEqual([])
  }, 60_000)

  test("are made once where several ask at once, and whoever comes as the last network goes has them", async () => {
    const before = await ruleset(host)
    const networks = Array.from({ length: 6 }, (_, i) => ({
      ...red,
      bridge: `tb${i}`,
      subnets: [cidr(`10.77.${i}.0/24`)],
    }))
    const rounds = (network: FirewallNetwork, last: boolean): Step[] => [
      ...Array.from({ length: 15 }, () => [
        { kind: "ensure", network } as const,
        { kind: "remove", network } as const,
      ]).flat(),
      ...(last ? [{ kind: "ensure", network } as const] : []),
    ]
    const done = await Promise.all(networks.map((network, i) => carryOut(host, rounds(network, i < 3))))
    expect(done.flat()).toEqual([])
    const text = await nft(host, "list", "ruleset")
    expect(text.match(/10\.77\.\d\.0\/24/g)?.toSorted()).toEqual(
      [0, 1, 2].flatMap((i) => [`10.77.${i}.0/24`, `10.77.${i}.0/24`]),
    )
    expect(text.match(/jump publish/g)).toHaveLength(2)
    expect(
      await carryOut(
        host,
        networks.map((network) => ({ kind: "remove", network })),
      ),
    ).toEqual([])
    expect(await ruleset(host)).toEqual(before)
  }, 120_000)

  test("made anew, because somebody has flushed them, they keep what others add meanwhile", async () => {
    const [one] = ports
    if (one === undefined) throw new Error("no port")
    const ids = Array.from({ length: 200 }, (_, i) => `c${1000 + i}`)
    const publish = (id: string, i: number): Step => ({
      ...{ kind: "publish", id, addresses },
      ports: [{ ...one, host: 3000 + i }],
    })
    const mend: Step[] = Array.from(
      { length: 30 },
      () => [{ kind: "flush" }, { kind: "ensure", network: blue }] as const,
    ).flat()
    expect(await carryOut(host, [{ kind: "ensure", network: blue }])).toEqual([])
    expect((await Promise.all([carryOut(host, mend), carryOut(host, ids.map(publish), ids)])).flat()).toEqual([])
    const text = await nft(host, "list", "map", "inet", "toybox", "ports4")
    expect(ids.filter((id) => !text.includes(`"${id}"`))).toEqual([])
    const unpublish = ids.map((id, i): Step => ({ ...publish(id, i), kind: "unpublish" }) as Step)
    expect(await carryOut(host, [...unpublish, { kind: "remove", network: blue }])).toEqual([])
  }, 120_000)

  test("a thousand ports at once", async () => {
    const many = Array.from({ length: 1000 }, (_, i) => ({
      protocol: "udp" as const,
      address: null,
      host: 20_000 + i,
      container: 30_000 + i,
    }))
    const step = { id: "c1", ports: many, addresses }
    expect(
      await carryOut(host, [
        { kind: "ensure", network: blue },
        { kind: "publish", ...step },
      ]),
    ).toEqual([])
    const text = await nft(host, "list", "map", "inet", "toybox", "ports6")
    expect(text.match(/comment "c1"/g)).toHaveLength(1000)
    expect(
      await carryOut(host, [
        { kind: "unpublish", ...step },
        { kind: "remove", network: blue },
      ]),
    ).toEqual([])
  }, 60_000)

  test("a table of our name that somebody else has made is an error, and stays as it is", async () => {
    const other = await namespace()
    await other.run(["nft", "-f", "-"], "table inet toybox { chain forward { type filter hook forward priority 0; }; }")
    const before = await ruleset(other)
    const [error, removal] = await carryOut(other, [
      { kind: "ensure", network: blue },
      { kind: "remove", network: blue },
    ])
    expect(error).toContain("table inet toybox that this version of toybox has not made")
    // There is nothing of ours to remove.
    expect(removal ?? null).toBeNull()
    expect(await ruleset(other)).toEqual(before)
  }, 60_000)
})
