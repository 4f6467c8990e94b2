/** Packets through toybox's rules: a host, the outside, and containers on several networks, each a network namespace. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import type { FirewallNetwork, PublishedPort } from "../../src/network/firewall/index.ts"
import { parseIp } from "../../src/network/ip.ts"
import { makeNamespace, type Namespace } from "../helpers/network.ts"

const ip = (text: string) => parseIp(text) ?? new Uint8Array()
const cidr = (text: string) => ({ ip: ip(text.split("/")[0] ?? ""), prefix: Number(text.split("/")[1]) })
const PEER = [process.execPath, `${import.meta.dir}/firewall-peer.ts`]
const CHILD = [process.execPath, `${import.meta.dir}/firewall-child.ts`]

const NAMES = ["host", "outside", "web", "neighbour", "other", "dark"] as const
type Name = (typeof NAMES)[number]
const spaces = {} as Record<Name, Namespace>
const servers: ReturnType<typeof Bun.spawn>[] = []

const sh = (where: Name, script: string) => spaces[where].run(["sh", "-ec", script])

async function serve(where: Name, port: number, name: readonly string[] = []): Promise<void> {
  const server = Bun.spawn(spaces[where].within(...PEER, "serve", String(port), ...name), { stdin: "ignore" })
  servers.push(server)
  for await (const chunk of server.stdout as ReadableStream<Uint8Array>)
    if (new TextDecoder().decode(chunk).includes("ready")) return
  throw new Error("a server has ended")
}

const PATIENCE = 30_000
// Nothing is to come: however slow the machine is, no shorter wait makes this fail.
const SHORT = 700

const ask = async (from: Name, protocol: string, address: string, port: number, milliseconds: number) =>
  (await spaces[from].run([...PEER, "ask", protocol, address, String(port), String(milliseconds)])).trim()

/** A container: its end of a link, and the bridge's. */
async function plug(name: Name, bridge: string, number: number): Promise<void> {
  const { pid } = spaces[name]
  const net = bridge === "tbblue" ? 0 : bridge === "tbred" ? 1 : 9
  await sh(
    "host",
    `ip link add v${name} type veth peer name eth0 netns ${pid}
     ip link set v${name} master ${bridge} up; ip link set v${name} type bridge_slave hairpin on`,
  )
  await sh(
    name,
    `ip address add 10.88.${net}.${number}/24 dev eth0; ip link set eth0 up
     ip address add fd00:88:0:${net}::${number}/64 dev eth0 nodad
     ip route add default via 10.88.${net}.1; ip route add default via fd00:88:0:${net}::1`,
  )
}

const network = (bridge: string, net: number, internal = false): FirewallNetwork => ({
  bridge,
  subnets: [cidr(`10.88.${net}.0/24`), cidr(`fd00:88:0:${net}::/64`)],
  internal,
  masquerade: true,
  isolated: false,
})
const port = (protocol: "tcp" | "udp", address: string | null, host: number): PublishedPort => ({
  protocol,
  address: address === null ? null : ip(address),
  host,
  container: 80,
})
const replacer = (_key: string, value: unknown) => (value instanceof Uint8Array ? { hex: value.toHex() } : value)

beforeAll(async () => {
  for (const name of NAMES) spaces[name] = await makeNamespace()
  await sh(
    "host",
    `ip link add up0 type veth peer name eth0 netns ${spaces.outside.pid}
     ip address add 192.0.2.1/24 dev up0; ip address add 2001:db8::1/64 dev up0 nodad; ip link set up0 up
     echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`,
  )
  await sh(
    "outside",
    `ip address add 192.0.2.2/24 dev eth0; ip address add 2001:db8::2/64 dev eth0 nodad; ip link set eth0 up
     ip route add 10.88.0.0/16 via 192.0.2.1; ip route add fd00:88::/32 via 2001:db8::1`,
  )
  for (const [bridge, net] of [
    ["tbblue", 0],
    ["tbred", 1],
    ["tbdark", 9],
  ])
    await sh(
      "host",
      `ip link add ${bridge} type bridge; ip address add 10.88.${net}.1/24 dev ${bridge}
       ip address add fd00:88:0:${net}::1/64 dev ${bridge} nodad; ip link set ${bridge} up`,
    )
  await plug("web", "tbblue", 2)
  await plug("neighbour", "tbblue", 3)
  await plug("other", "tbred", 2)
  await plug("dark", "tbdark", 2)
  const steps = [
    { kind: "ensure", network: network("tbblue", 0) },
    { kind: "ensure", network: network("tbred", 1) },
    { kind: "ensure", network: network("tbdark", 9, true) },
    {
      kind: "publish",
      id: "web",
      ports: [port("tcp", null, 8080), port("udp", null, 8080), port("tcp", "127.0.0.1", 9090)],
      addresses: { ip: ip("10.88.0.2"), ip6: ip("fd00:88:0:0::2") },
    },
  ]
  expect(await spaces.host.run(CHILD, JSON.stringify({ steps, running: ["web"] }, replacer))).toBe("[]\n")
  await Promise.all([serve("web", 80), serve("outside", 80), serve("host", 7777)])
}, 120_000)

afterAll(async () => {
  for (const server of servers) server.kill("SIGKILL")
  await Promise.all(servers.map((server) => server.exited))
  await Promise.all(Object.values(spaces).map((space) => space.close()))
})

test.concurrent.each([
  ["outside", "tcp", "192.0.2.1", 8080, "192.0.2.2"],
  ["outside", "udp", "192.0.2.1", 8080, "192.0.2.2"],
  ["outside", "tcp", "2001:db8::1", 8080, "2001:db8::2"],
  ["outside", "udp", "2001:db8::1", 8080, "2001:db8::2"],
  ["host", "tcp", "127.0.0.1", 8080, "10.88.0.1"],
  ["host", "udp", "127.0.0.1", 8080, "10.88.0.1"],
  ["host", "tcp", "127.0.0.1", 9090, "10.88.0.1"],
  ["host", "tcp", "2001:db8::1", 8080, "2001:db8::1"],
  ["web", "tcp", "192.0.2.1", 8080, "10.88.0.1"],
  ["web", "udp", "10.88.0.1", 8080, "10.88.0.1"],
  ["web", "tcp", "2001:db8::1", 8080, "fd00:88::1"],
  ["neighbour", "tcp", "192.0.2.1", 8080, "10.88.0.1"],
  ["neighbour", "tcp", "10.88.0.2", 80, "10.88.0.3"],
  ["other", "tcp", "192.0.2.1", 8080, "10.88.0.1"],
  ["web", "tcp", "192.0.2.2", 80, "192.0.2.1"],
  ["other", "udp", "192.0.2.2", 80, "192.0.2.1"],
  ["web", "tcp", "2001:db8::2", 80, "2001:db8::1"],
] as const)(
  "%s reaches %s %s port %i, as %s",
  async (from, protocol, address, number, seen) => {
    expect(await ask(from, protocol, address, number, PATIENCE)).toBe(seen)
  },
  60_000,
)

test.concurrent.each([
  ["other", "10.88.0.2", 80, "a container of another network"],
  ["other", "fd00:88::2", 80, "a container of another network, by IPv6"],
  ["outside", "10.88.0.2", 80, "a container whose port is not published, by a route"],
  ["outside", "fd00:88::2", 80, "a container by a route, by IPv6"],
  ["outside", "192.0.2.1", 9090, "what is published on 127.0.0.1"],
  ["dark", "192.0.2.2", 80, "the outside from an internal network"],
  ["dark", "2001:db8::2", 80, "the outside from an internal network, by IPv6"],
  ["dark", "192.0.2.1", 8080, "a published port from an internal network"],
] as const)(
  "%s does not reach %s port %i: %s",
  async (from, address, number) => {
    expect(await ask(from, "tcp", address, number, SHORT)).toBe("")
  },
  60_000,
)

test("the loopback of the host is not a container's, whatever that tries", async () => {
  expect(await sh("host", "cat /proc/sys/net/ipv4/conf/tbblue/route_localnet")).toBe("1\n")
  const script = `echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip address delete 127.0.0.1/8 dev lo
    ip route add 127.0.0.1/32 via 10.88.0.1 src 10.88.0.3`
  await sh("neighbour", script)
  expect(await ask("host", "tcp", "127.0.0.1", 7777, PATIENCE)).toBe("127.0.0.1")
  expect(await ask("neighbour", "tcp", "10.88.0.1", 7777, PATIENCE)).toBe("10.88.0.3")
  expect(await ask("neighbour", "tcp", "127.0.0.1", 7777, SHORT)).toBe("")
}, 60_000)

test("a container that takes an address of another network is heard by nobody", async () => {
  await sh("neighbour", "ip address add 10.88.1.77/32 dev eth0; ip route replace default via 10.88.0.1 src 10.88.1.77")
  const dropped = async () => await sh("host", "nft list chain inet toybox raw")
  expect(await dropped()).toContain("fib saddr . iif oif 0 drop")
  expect(await ask("neighbour", "tcp", "192.0.2.2", 80, SHORT)).toBe("")
  await sh("neighbour", "ip route replace default via 10.88.0.1 src 10.88.0.3")
  expect(await ask("neighbour", "tcp", "192.0.2.2", 80, PATIENCE)).toBe("192.0.2.1")
}, 60_000)

test("a connection asks for no more than its way carries", async () => {
  await sh("host", "ip link set up0 mtu 1300")
  const clamped = spaces.host.run(["nft", "list", "chain", "inet", "toybox", "clamp"])
  expect(await clamped).toContain("maxseg size set rt mtu")
  const script = `nft add table inet seen; nft add chain inet seen c '{ type filter hook postrouting priority 200; }'
    nft add rule inet seen c tcp flags syn tcp option maxseg size 1260 counter`
  await sh("host", script)
  expect(await ask("web", "tcp", "192.0.2.2", 80, PATIENCE)).toBe("192.0.2.1")
  expect(await sh("host", "nft list chain inet seen c")).toMatch(/packets [1-9]/)
}, 60_000)

test("a client that goes on sending is led to the container that has the port now", async () => {
  await Promise.all([serve("web", 53, ["web"]), serve("neighbour", 53, ["neighbour"])])
  const who = async (address: string, milliseconds: number) =>
    (await spaces.outside.run([...PEER, "ask", "udp", address, "5300", String(milliseconds), "41000"])).trim()
  const step = (kind: string, id: string, number: number) => ({
    kind,
    id,
    ports: [{ ...port("udp", null, 5300), container: 53 }],
    addresses: { ip: ip(`10.88.0.${number}`), ip6: ip(`fd00:88::${number}`) },
  })
  const done = (steps: unknown[], running: string[]) =>
    spaces.host.run(CHILD, JSON.stringify({ steps, running }, replacer))
  for (const address of ["192.0.2.1", "2001:db8::1"]) expect(await who(address, SHORT)).toBe("")
  expect(await done([step("publish", "one", 2)], ["one"])).toBe("[]\n")
  for (const address of ["192.0.2.1", "2001:db8::1"]) expect(await who(address, PATIENCE)).toBe("web")
  // It has been killed, and could not give the port back.
  expect(await done([step("publish", "two", 3)], ["two"])).toBe("[]\n")
  for (const address of ["192.0.2.1", "2001:db8::1"]) expect(await who(address, PATIENCE)).toBe("neighbour")
  expect(await done([step("unpublish", "two", 3), step("publish", "one", 2)], ["one"])).toBe("[]\n")
  for (const address of ["192.0.2.1", "2001:db8::1"]) expect(await who(address, PATIENCE)).toBe("web")
  expect(await done([step("unpublish", "one", 2)], [])).toBe("[]\n")
}, 120_000)

// What the commands that are told call either kind.
const kind = { "iptables-nft": "nft", "iptables-legacy": "legacy" } as const

test.each([
  [
    "iptables-nft",
    "iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP",
    "iptables-nft -P FORWARD ACCEPT; iptables-nft -F FORWARD; ip6tables-nft -P FORWARD ACCEPT; ip6tables-nft -F FORWARD",
    { tool: "iptables", table: "filter", chain: "FORWARD" },
  ],
  [
    "iptables-legacy",
    "iptables-legacy -N DOCKER-USER; iptables-legacy -A FORWARD -j DOCKER-USER; iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP",
    "iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F; iptables-legacy -X; ip6tables-legacy -P FORWARD ACCEPT; ip6tables-legacy -F",
    { tool: "docker", table: "filter", chain: "FORWARD" },
  ],
  [
    "nft",
    "nft add table inet mine; nft add chain inet mine away '{ type filter hook forward priority 10; policy drop; }'",
    "nft delete table inet mine",
    { tool: "nft", family: "inet", table: "mine", chain: "away" },
  ],
] as const)(
  "beside a rule of %s that drops, the outside is reached with the rules that are told",
  async (whose, make, remove, found) => {
    const drops = async () =>
      JSON.parse(
        await spaces.host.run([
          ...[process.execPath, `${import.meta.dir}/foreign-child.ts`],
          ...["tbblue", "10.88.0.0/24", "fd00:88::/64"],
        ]),
      )
    expect(await drops()).toMatchObject({ outside: null, ports: null, rules: [] })
    await sh("host", make)
    expect(await ask("web", "tcp", "192.0.2.2", 80, SHORT)).toBe("")
    const { outside, ports, rules } = await drops()
    expect(outside).toMatchObject(found)
    expect(ports).toMatchObject(found)
    for (const rule of rules)
      await sh("host", rule.replace(/^(ip6?tables) /, `$1-${whose === "nft" ? "" : kind[whose]} `))
    expect(await ask("web", "tcp", "192.0.2.2", 80, PATIENCE)).toBe("192.0.2.1")
    expect(await ask("web", "tcp", "2001:db8::2", 80, PATIENCE)).toBe("2001:db8::1")
    expect(await drops()).toMatchObject({ outside: null, rules: [] })
    await sh("host", remove)
  },
  90_000,
)
