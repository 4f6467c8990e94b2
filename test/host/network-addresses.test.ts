/** Which addresses networks have, and which of them containers get. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"

let machine: Machine
const run = (...words: string[]) => machine.run(...words)
const create = (...words: string[]) => machine.told("network", "create", ...words)
const subnetOf = async (name: string) => JSON.parse(await run("network", "inspect", name))[0].IPAM.Config[0].Subnet

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

test("a gateway may be any address of the network: no container gets it", async () => {
  await run("network", "create", "--subnet=10.60.0.0/24", "--gateway=10.60.0.254", "last")
  await run("network", "create", "--subnet=10.65.0.0/24", "--subnet=fd00:65::/64", "--gateway=fd00:65::3", "third")
  const seen = (network: string) =>
    run("run", "--rm", "--net", network, "base", "sh", "-c", "ip -o address show dev eth0 scope global; ip -6 route")
  const first = await seen("last")
  expect(first).toContain("inet 10.60.0.1/24")
  expect(first).toMatch(/^default via fd\S+::1 dev eth0/m)
  await run("run", "-d", "--net=third", "base", "sleep", "1000")
  const second = await seen("third")
  expect(second).toContain("inet 10.65.0.3/24")
  expect(second).toContain("inet6 fd00:65::")
  expect(second).not.toContain("inet6 fd00:65::3/")
  expect(second).toContain("default via fd00:65::3 dev eth0")
  await run("rm", "-f", "--all")
  await run("network", "rm", "last", "third")
}, 60_000)

test("what no container can have is no address of a network", async () => {
  for (const subnet of [
    ...["127.0.0.0/24", "0.0.0.0/8", "224.0.0.0/24", "255.255.255.0/24"],
    ...["ff02::/64", "::/1", "fe80::/64"],
  ]) {
    const { code, stderr } = await create(`--subnet=${subnet}`, "bad")
    expect({ subnet, code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(subnet) })
  }
  for (const gateway of ["10.60.0.0", "10.60.0.255", "10.61.0.1"])
    expect((await create("--subnet=10.60.0.0/24", `--gateway=${gateway}`, "bad")).stderr).toContain(
      `--gateway: "${gateway}" is no address for a machine in 10.60.0.0/24`,
    )
  expect(await run("network", "ls", "-q", "--filter", "type=custom")).toBe("")
  // Which is listed before anybody needs it.
  await run("network", "rm", "bridge")
  await run("network", "create", "--subnet=10.60.0.0/24", "good")
  for (const ip of ["10.60.0.0", "10.60.0.1", "10.60.0.255"])
    expect((await machine.told("run", "--rm", "--net=good", `--ip=${ip}`, "base", "true")).stderr).toContain(
      `--ip: ${ip} is no free address of the network`,
    )
  await run("network", "rm", "good")
}, 60_000)

test("beside a tunnel that takes everything there are networks; one that is asked for may be part of a route", async () => {
  await machine.sh("ip route add 0.0.0.0/1 dev out; ip route add 128.0.0.0/1 dev out; ip route add 10.0.0.0/8 dev out")
  await run("network", "create", "free")
  expect(await subnetOf("free")).toBe("172.18.0.0/16")
  await run("network", "create", "--subnet=10.60.0.0/24", "part")
  expect(await run("run", "--rm", "--net=part", "base", "ip", "-o", "-4", "address", "show", "eth0")).toContain(
    "10.60.0.2/24",
  )
  expect((await create("--subnet=172.17.5.0/24", "same")).stderr).toContain("overlaps the route to 172.17.5.0/24")
  // Where everything is part of some route, the narrower one has its way.
  await machine.sh("ip route add 172.16.0.0/12 dev out; ip route add 192.168.0.0/16 dev out")
  await run("network", "create", "squeezed")
  expect(await subnetOf("squeezed")).toBe("172.19.0.0/16")
  await run("network", "rm", "free", "part", "squeezed")
  await machine.sh(
    "for to in 0.0.0.0/1 128.0.0.0/1 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16; do ip route del $to dev out; done",
  )
}, 60_000)

test("no network has an address that this machine lives by: its own, a router's, a name server's", async () => {
  expect((await create("--subnet=172.17.5.0/30", "bad")).stderr).toContain("this machine's own address 172.17.5.1")
  await machine.sh("ip route add 10.70.0.0/16 dev out; ip route add 10.71.0.0/16 via 10.70.0.9")
  expect((await create("--subnet=10.70.0.0/24", "bad")).stderr).toContain("overlaps the router 10.70.0.9")
  await machine.sh("ip route del 10.71.0.0/16 via 10.70.0.9; ip route del 10.70.0.0/16 dev out")
  const resolver = join(temporaryDirectory("resolver"), "resolv.conf")
  writeFileSync(resolver, "search example\nnameserver 172.18.0.53\nnameserver 10.72.0.53\n")
  const beside = (...words: string[]) =>
    machine.sh(
      `unshare -m --propagation private sh -c 'mount --bind ${resolver} /etc/resolv.conf; exec "$@"' - ${machine.toybox("network", "create", ...words).join(" ")} 2>&1 || true`,
    )
  await beside("free")
  expect(await subnetOf("free")).toBe("172.19.0.0/16")
  expect(await beside("--subnet=10.72.0.0/24", "bad")).toContain("overlaps the name server 10.72.0.53")
  await run("network", "rm", "free")
}, 60_000)

test("the default network gets other addresses where a route takes its own, and stays what it was made", async () => {
  const options = ["--internal", "--isolate", "-o", "mtu=1400", "--label", "a=b"]
  await run("network", "create", ...options, "bridge")
  const shown = async () => {
    const [{ Internal, Options, Labels, Id, EnableIPv6 }] = JSON.parse(await run("network", "inspect", "bridge"))
    return { Internal, Options, Labels, Id, EnableIPv6 }
  }
  const before = await shown()
  expect(before).toMatchObject({ Internal: true, Labels: { a: "b" } })
  expect(await subnetOf("bridge")).toBe("172.18.0.0/16")
  await machine.sh("ip route add 172.18.5.0/24 dev out")
  expect(await run("run", "--rm", "base", "ip", "route")).toBe("172.19.0.0/16 dev eth0 scope link  src 172.19.0.2 \n")
  expect(await shown()).toEqual(before)
  await machine.sh("ip route del 172.18.5.0/24 dev out")
  await run("network", "rm", "bridge")
}, 60_000)
