/** The link of a network: what it keeps, and what the machine's settings make of it. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

let machine: Machine
const run = (...words: string[]) => machine.run(...words)
const sh = (script: string) => machine.sh(script)

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

test("the link's address stays, whoever comes and goes: containers know the machine by it", async () => {
  const address = async () => (await machine.json("link show type bridge"))[0].address
  const seen = new Set<string>()
  // Of the ports' addresses, which are random, the kernel would take the lowest.
  for (let i = 0; i < 5; i++) {
    await run("run", "-d", "base", "sleep", "1000")
    seen.add(await address())
  }
  await run("rm", "-f", "--all")
  await run("run", "--rm", "base", "true")
  seen.add(await address())
  expect(seen.size).toBe(1)
  // A unicast address that is administered locally.
  expect(Number.parseInt([...seen][0] ?? "", 16) & 3).toBe(2)
  await run("network", "prune")
}, 60_000)

const six = (network: string) =>
  run(
    "run",
    "--rm",
    "--net",
    network,
    "base",
    "sh",
    "-c",
    "ip -o -6 address show scope global; ip -6 route; cat /etc/hosts",
  )
const SIX = /^default|\bfd[0-9a-f]{2}:/m
const bridges = async () => (await machine.json("link show type bridge")).map(({ ifname }) => ifname)

test("a machine whose IPv6 is switched off has networks without", async () => {
  const off = (value: number) => sh(`sysctl -qw net.ipv6.conf.all.disable_ipv6=${value}`)
  await run("network", "create", "before")
  await run("network", "create", "unused")
  expect(await six("before")).toContain("default via fd")
  await off(1)
  // One whose link is there, one whose link is not, and one that is new.
  await run("network", "create", "after")
  for (const network of ["before", "unused", "after", "before"]) expect(await six(network)).not.toMatch(SIX)
  expect((await machine.told("run", "--rm", "--net=before", "--ip6=fd00::9", "base", "true")).stderr).toContain(
    "--ip6: the network before has no IPv6",
  )
  await off(0)
  await sh("ip -6 address add fd00:99::1/64 dev out nodad")
  for (const network of ["before", "unused"]) expect(await six(network)).toContain("default via fd")
  await run("network", "rm", "before", "unused", "after")
  expect(await bridges()).toEqual([])
}, 60_000)

test("a network of packets too small for IPv6 is without, and one that is to have both is refused", async () => {
  await run("network", "create", "-o", "mtu=1000", "small")
  expect(await six("small")).not.toMatch(SIX)
  for (const ipv6 of ["--ipv6", "--subnet=fd00:7::/64"])
    expect((await machine.told("network", "create", "-o", "mtu=1000", ipv6, "bad")).stderr).toContain("1280")
  await machine.sh("ip link set out mtu 1279")
  await run("network", "create", "narrow")
  expect(await six("narrow")).not.toMatch(SIX)
  await machine.sh("ip link set out mtu 1500; ip -6 address add fd00:99::1/64 dev out nodad")
  await run("network", "rm", "small", "narrow")
}, 60_000)

test("a link whose addresses somebody has taken, or that is down, is mended by the next container", async () => {
  await run("network", "create", "worn")
  const seen = () =>
    run(
      "run",
      "--rm",
      "--net=worn",
      "--cap-add=NET_RAW",
      "base",
      "sh",
      "-c",
      "ping -c1 -W2 172.17.5.2 >/dev/null && ip -6 route",
    )
  const before = await seen()
  for (const wear of ["ip address flush dev", "ip link set down dev", "ip -6 address flush dev"]) {
    await sh(`${wear} ${(await bridges())[0]}`)
    expect(await seen()).toBe(before)
  }
  await run("network", "rm", "worn")
}, 60_000)

test("forwarding goes with the last network, unless others may want it, or have set it", async () => {
  const forwarding = () => sh("cat /proc/sys/net/ipv4/ip_forward")
  const use = async () => {
    await run("network", "create", "brief")
    await run("run", "--rm", "--net=brief", "base", "true")
    expect(await forwarding()).toBe("1\n")
  }
  await use()
  await run("network", "rm", "brief")
  expect(await forwarding()).toBe("0\n")
  await use()
  await sh("ip link add other type bridge")
  await run("network", "rm", "brief")
  expect(await forwarding()).toBe("1\n")
  await sh("ip link del other; sysctl -qw net.ipv4.ip_forward=0")
}, 60_000)

test("routes of routers are taken on by links that live by them, and by no other", async () => {
  const accept = () =>
    sh("cd /proc/sys/net/ipv6/conf; grep -H . all/accept_ra default/accept_ra lo/accept_ra out/accept_ra")
  await sh(
    `for link in all default lo out; do echo 1 >/proc/sys/net/ipv6/conf/$link/accept_ra; done
     sysctl -qw net.ipv6.conf.all.forwarding=0; ip -6 route add default via fd00:99::2 dev out proto ra`,
  )
  await run("run", "--rm", "base", "true")
  expect(await accept()).toBe("all/accept_ra:1\ndefault/accept_ra:1\nlo/accept_ra:1\nout/accept_ra:2\n")
  await run("network", "prune")
  expect(await accept()).toBe("all/accept_ra:1\ndefault/accept_ra:1\nlo/accept_ra:1\nout/accept_ra:1\n")
}, 60_000)
