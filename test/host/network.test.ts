/** Networks of containers: in a network namespace that plays the machine, beside one that plays the outside. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { basename } from "node:path"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import type { Namespace } from "../helpers/network.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot } from "../helpers/toybox.ts"

const PEER = [process.execPath, `${import.meta.dir}/firewall-peer.ts`]
let machine: Machine
let host: Namespace
let outside: Namespace
let server: ReturnType<typeof Bun.spawn>

const toybox = (...words: string[]) => machine.toybox(...words)
const run = (...words: string[]) => machine.run(...words)
const sh = (where: Namespace, script: string) => where.run(["sh", "-ec", script])
beforeAll(async () => {
  machine = await makeMachine(1450)
  host = machine.host
  outside = machine.outside
  await sh(host, "echo 1 >/proc/sys/net/ipv6/conf/out/accept_ra; ip -6 route add 2001:db8::/32 via fd00:99::2 proto ra")
  server = Bun.spawn(outside.within(...PEER, "serve", "80"), { stdin: "ignore", stdout: "pipe" })
  for await (const chunk of server.stdout as ReadableStream<Uint8Array>)
    if (new TextDecoder().decode(chunk).includes("ready")) break
}, 60_000)

afterAll(async () => {
  server?.kill("SIGKILL")
  await server?.exited
  await machine?.close()
})
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

const leases = () =>
  readdirSync(`${stateRoot()}/run/networks`, { recursive: true }).filter((name) => /[.:][0-9a-f]+$/.test(String(name)))

test("a run that says nothing has a bridge, addresses, and the way out; nothing of it stays but the bridge", async () => {
  const told = await run(
    ...["run", "--rm", "base", "sh", "-c"],
    "ip -o link show eth0; ip -o address show eth0; ip route; cat /etc/hosts; hostname; nc 172.17.5.2 80; nc fd00:99::2 80",
  )
  // A route of the machine takes what would be first.
  expect(told).toContain("mtu 1450")
  expect(told).toContain("02:42:ac:12:00:02")
  expect(told).toContain("inet 172.18.0.2/16 brd 172.18.255.255")
  expect(told).toContain("default via 172.18.0.1 dev eth0")
  expect(told).toMatch(/^172\.18\.0\.2\t[0-9a-f]{12}$/m)
  // What the outside sees is the machine.
  expect(told).toContain("172.17.5.1")
  expect(told).toContain("fd00:99::1")
  expect(leases()).toEqual([])
  const links = (await machine.json("-d link")).filter(({ ifname }) => !["lo", "out"].includes(ifname))
  expect(links.filter(({ ifname }) => ifname.startsWith("tb-"))).toMatchObject([
    { linkinfo: { info_kind: "bridge" }, mtu: 1450, ifalias: expect.stringMatching(/^toybox network [0-9a-f]{64}$/) },
  ])
  // A machine that forwards keeps the routes that its routers tell it.
  expect(await sh(host, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding")).toBe("1\n1\n")
  // Of a network's link no routes are taken: CVE-2020-13401.
  expect(await sh(host, "cat /proc/sys/net/ipv6/conf/tb-*/accept_ra")).toBe("0\n")
  expect(await sh(host, "cat /proc/sys/net/ipv6/conf/out/accept_ra")).toBe("2\n")
}, 60_000)

test("two containers of a network reach one another; addresses, names and links are as asked", async () => {
  const id = (
    await run(
      "run",
      "-d",
      "--name",
      "web",
      "--net=bridge",
      "--ip=172.18.9.9",
      "--mac=02:00:00:00:00:07",
      "base",
      "sh",
      "-c",
      "ip link show eth0; nc -ll -p 90 -e echo hello",
    )
  ).trim()
  expect(await run("run", "--rm", "base", "sh", "-c", "until nc -w 2 172.18.9.9 90; do sleep 0.1; done")).toBe(
    "hello\n",
  )
  expect(await run("logs", "web")).toContain("02:00:00:00:00:07")
  expect(leases()).toHaveLength(2)
  const [{ NetworkSettings }] = JSON.parse(await run("inspect", "web"))
  expect(NetworkSettings).toMatchObject({
    IPAddress: "172.18.9.9",
    IPPrefixLen: 16,
    Gateway: "172.18.0.1",
    MacAddress: "02:00:00:00:00:07",
    Networks: { bridge: { IPAddress: "172.18.9.9", Gateway: "172.18.0.1" } },
  })
  expect((await run("ps", "--format", "{{.Names}} {{.Networks}}")).trim()).toBe("web bridge")
  expect(run("run", "--rm", "--ip", "172.18.9.9", "base", "true")).rejects.toThrow("172.18.9.9 is in use by another")
  expect(run("run", "--rm", "--ip", "10.0.0.1", "base", "true")).rejects.toThrow("is no free address of the network")
  await run("restart", "-t", "0", "web")
  expect(await run("exec", "web", "ip", "-o", "address", "show", "eth0")).toContain("172.18.9.9/16")
  expect(JSON.parse(await run("inspect", id))[0].NetworkSettings.IPAddress).toBe("172.18.9.9")
  await run("rm", "-f", "web")
  expect(leases()).toEqual([])
}, 60_000)

test("a hundred at once have an address each, and those killed give theirs back", async () => {
  const many = 100
  const start = toybox("run", "-d", "base", "sleep", "1000").join(" ")
  const ids = (await sh(host, `for i in $(seq ${many}); do ${start} & done; wait`)).match(/^[0-9a-f]{64}$/gm) ?? []
  const described: { NetworkSettings: { IPAddress: string; GlobalIPv6Address: string } }[] = JSON.parse(
    await run("inspect", ...ids),
  )
  const addresses = described.flatMap(({ NetworkSettings: { IPAddress, GlobalIPv6Address } }) => [
    IPAddress,
    GlobalIPv6Address,
  ])
  expect(addresses.filter(Boolean)).toHaveLength(2 * many)
  expect(new Set(addresses).size).toBe(2 * many)
  expect(new Set(leases().map((path) => basename(String(path))))).toEqual(new Set(addresses))
  await run("rm", "-f", ...ids)
  expect(leases()).toEqual([])
  const killed = Bun.spawn(host.within(...toybox("run", "--rm", "--name=dies", "base", "sleep", "1000").slice(4)), {
    stdin: "ignore",
    stdout: "ignore",
  })
  const deadline = Date.now() + 30_000
  while (!(await run("ps", "--format", "{{.Names}}")).includes("dies") && Date.now() < deadline) await Bun.sleep(20)
  expect(leases()).toHaveLength(2)
  // nsenter and env have become toybox.
  killed.kill("SIGKILL")
  await killed.exited
  await run("ps")
  expect(leases()).toEqual([])
}, 90_000)

test("an address that several ask for at once is one container's", async () => {
  await run("network", "create", "--subnet=10.66.0.0/24", "one")
  const words = toybox("run", "--rm", "--net=one", "--ip=10.66.0.7", "base", "sleep", "1").join(" ")
  const several = Array.from({ length: 4 }, () => `(${words} 2>&1; echo "exit $?") &`).join("\n")
  for (let i = 0; i < 3; i++) {
    const told = await sh(host, `${several}\nwait`)
    expect(told.match(/exit 0/g)).toHaveLength(1)
    expect(told.match(/--ip: 10\.66\.0\.7 is in use by another container/g)).toHaveLength(3)
  }
  await run("network", "rm", "one")
}, 60_000)

test("a namespace that is there can be had by its path", async () => {
  expect(
    await run("run", "--rm", `--net=ns:/proc/${outside.pid}/ns/net`, "base", "ip", "-o", "-4", "address"),
  ).toContain("172.17.5.2/24")
}, 60_000)

test("--explain shows the lines of ip and nft for what is not there yet, and makes nothing", async () => {
  await run("network", "create", "--subnet=10.64.0.0/24", "fresh")
  const state = () =>
    sh(host, "ip -o link show type bridge | cut -d: -f2; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward")
  const before = await state()
  const text = await run("run", "--explain", "--rm", "base", "true")
  expect(text).not.toContain("type bridge ")
  expect(text).not.toContain("nft add element")
  expect(text).toMatch(
    /ip link add veth\w+ mtu 1450 master tb-\w+ group 29794 numtxqueues 1 numrxqueues 1 type veth peer name eth0 .* netns \$PID/,
  )
  expect(text).toMatch(
    /echo 1 >\/proc\/sys\/net\/ipv6\/conf\/veth\w+\/disable_ipv6\nip link set veth\w+ up type bridge_slave/,
  )
  expect(text).toContain("nsenter -t $PID -n ip route add default via 172.18.0.1 dev eth0")
  const fresh = await run("run", "--explain", "--rm", "--net=fresh", "--cap-add=NET_RAW", "base", "true")
  expect(fresh).toMatch(
    /ip link add tb-\w+ address [0-9a-f:]+ up type bridge mcast_snooping 0\necho 0 >\/proc\/sys\/net\/ipv6\/conf\/tb-\w+\/accept_ra/,
  )
  expect(fresh).toContain("nft add element inet toybox masquerade4 '{ 10.64.0.0/24 }'")
  expect(fresh).toMatch(/nft add element bridge toybox senders4 '\{ "veth\w+" \. 02:42:0a:40:00:02 \. 10\.64\.0\.2 \}'/)
  // Of what others have, nothing is shown as free.
  await run("run", "-d", "--name=has", "-p", "8160:80", "base", "sleep", "1000")
  const address = JSON.parse(await run("inspect", "has"))[0].NetworkSettings.IPAddress
  expect(await run("run", "--explain", "base", "true")).not.toContain(`${address}/16`)
  expect(run("run", "--explain", "-p", "8160:80", "base", "true")).rejects.toThrow(
    "8160/tcp of the host is in use by the container has",
  )
  expect(run("run", "--explain", "--ip", address, "base", "true")).rejects.toThrow("in use by another container")
  await run("rm", "-f", "has")
  await run("network", "rm", "fresh")
  expect(await state()).toBe(before)
}, 60_000)

test("networks that are made: names for neighbours, kept apart from others, gone with all that was theirs", async () => {
  const made = await run(
    "network",
    "create",
    "--subnet=10.61.0.0/24",
    "--ip-range=10.61.0.128/25",
    "--label",
    "of=test",
    "blue",
  )
  expect(made).toMatch(/^[0-9a-f]{64}\n$/)
  await run("network", "create", "--internal", "dark")
  expect(run("network", "create", "blue")).rejects.toThrow('there is a network "blue" already')
  expect(run("network", "create", "--subnet", "10.61.0.0/16", "red")).rejects.toThrow("overlaps the network blue")
  expect(run("network", "create", "--subnet", "172.17.0.0/16", "red")).rejects.toThrow(
    "overlaps the route to 172.17.5.0/24",
  )
  await run("run", "-d", "--name=db", "--net=blue", "--net-alias=store", "base", "sleep", "1000")
  await run("run", "-d", "--name=app", "--net=blue", "--net=dark", "base", "sleep", "1000")
  const hosts = (name: string) => run("exec", name, "cat", "/etc/hosts")
  expect(await hosts("app")).toMatch(/^10\.61\.0\.128\tdb store [0-9a-f]{12}$/m)
  expect(await hosts("db")).toMatch(/^10\.61\.0\.129\tapp [0-9a-f]{12}$/m)
  expect(await run("exec", "app", "ip", "-o", "-4", "address")).toMatch(
    /eth0 .*10\.61\.0\.129[\s\S]*eth1 .*172\.19\.0\.2/,
  )
  expect(await run("exec", "db", "nc", "172.17.5.2", "80")).toBe("172.17.5.1")
  await run("rename", "app", "front")
  expect(await hosts("db")).toContain("\tfront ")
  const [{ Containers, IPAM, Labels }] = JSON.parse(await run("network", "inspect", "blue"))
  expect(IPAM.Config[0]).toEqual({ Subnet: "10.61.0.0/24", Gateway: "10.61.0.1", IPRange: "10.61.0.128/25" })
  expect(Labels).toEqual({ of: "test" })
  expect(
    Object.values(Containers)
      .map((one) => (one as { Name: string }).Name)
      .sort(),
  ).toEqual(["db", "front"])
  expect((await run("network", "ls", "--filter", "label=of=test", "-q", "--no-trunc")).trim()).toBe(made.trim())
  expect(run("network", "rm", "blue")).rejects.toThrow(/in use by (db, front|front, db)/)
  const alone = (...words: string[]) =>
    run("run", "--rm", ...words, "base", "sh", "-c", "nc -w 2 172.17.5.2 80 || echo none")
  expect(await alone("--net", "dark")).toContain("none")
  for (const [network, reached] of [
    ["blue", "yes\n"],
    ["bridge", "no\n"],
  ] as const) {
    const ping = "ping -c1 -W2 10.61.0.128 >/dev/null && echo yes || echo no"
    const words = ["--net", network, "--cap-add=NET_RAW", "base", "sh", "-c", ping]
    expect(await run("run", "--rm", ...words)).toBe(reached)
  }
  await run("network", "connect", "--alias", "vault", "dark", "db")
  expect(await hosts("front")).toMatch(/^172\.19\.0\.3\tdb vault /m)
  expect(await hosts("db")).toMatch(/^172\.19\.0\.3\t\w+$/m)
  expect(await run("exec", "db", "ip", "-o", "-4", "address", "show", "eth1")).toContain("172.19.0.3/16")
  expect(run("network", "connect", "dark", "db")).rejects.toThrow("db is in the network dark already")
  await run("network", "disconnect", "blue", "db")
  expect(await hosts("front")).not.toContain("10.61.0.128")
  expect(await hosts("db")).not.toContain("10.61.0.")
  expect(await run("exec", "db", "ip", "route")).toBe("172.19.0.0/16 dev eth1 scope link  src 172.19.0.3 \n")
  expect(run("network", "disconnect", "blue", "db")).rejects.toThrow("db is not in the network blue")
  await run("network", "connect", "blue", "db")
  // There is a way out again.
  expect(await run("exec", "db", "nc", "172.17.5.2", "80")).toBe("172.17.5.1")
  // What was changed lasts.
  await run("network", "disconnect", "dark", "db")
  await run("restart", "-t", "0", "db")
  expect(Object.keys(JSON.parse(await run("inspect", "db"))[0].NetworkSettings.Networks)).toEqual(["blue"])
  await run("rm", "-f", "front")
  expect(await hosts("db")).not.toContain("front")
  await run("rm", "-f", "db")
  await run("network", "rm", "blue", "dark")
  expect(await run("network", "ls", "--json")).toContain('"name":"bridge"')
  await run("network", "prune")
  expect(await run("network", "ls", "-q", "-f", "type=custom")).toBe("")
  expect((await machine.json("link")).map(({ ifname }) => ifname).sort()).toEqual(["lo", "out"])
  expect(await sh(host, "nft list ruleset")).toBe("")
  expect(
    await sh(
      host,
      "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv6/conf/out/accept_ra",
    ),
  ).toBe("0\n0\n1\n")
}, 90_000)

test("what is asked of no network is told", async () => {
  expect(run("run", "--rm", "--net", "nowhere", "base", "true")).rejects.toThrow('there is no network "nowhere"')
  expect(run("run", "--rm", "--net", "none", "--ip", "10.0.0.1", "base", "true")).rejects.toThrow(
    "--ip needs a network",
  )
}, 60_000)
