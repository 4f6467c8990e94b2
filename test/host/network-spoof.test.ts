/** A container that can make packets as it likes does not take its neighbours' addresses. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

// As a router of this link: RFC 4861, section 4.2, with a prefix for addresses.
const ADVERTISE = `import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 86400, 86400, 0) + socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, ("ff02::1", 0))`
// "That address is mine": an answer of ARP that nobody has asked for, and the same of IPv6.
const CLAIM = `import socket, struct, sys
four, six, mine = sys.argv[1:]
mac = bytes.fromhex(mine.replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
ip = socket.inet_aton(four)
s.send(b"\\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2) + mac + ip + b"\\xff" * 6 + ip)
n = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
n.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
n.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
target = socket.inet_pton(socket.AF_INET6, six)
n.sendto(struct.pack("!BBHI", 136, 0, 0, 0x20000000) + target + b"\\x02\\x01" + mac, ("ff02::1", 0))`

const REACH = ["sh", "-c", "busybox ping -c1 -W1 172.17.5.2 || true"]

let machine: Machine
const run = (...words: string[]) => machine.run(...words)
const sh = (name: string, script: string) => run("exec", name, "sh", "-c", script)
const settings = async (name: string) => {
  const [{ State, NetworkSettings }] = JSON.parse(await run("inspect", name))
  const { IPAddress: four, GlobalIPv6Address: six, MacAddress: mac } = NetworkSettings
  return { pid: State.Pid as number, four: four as string, six: six as string, mac: mac as string }
}
const within = (pid: number, ...command: string[]) =>
  machine.host.run(["nsenter", "--net", "--target", String(pid), ...command])

const SERVER = "nc -ll -p 80 -e echo $0"
let victim: Awaited<ReturnType<typeof settings>>
let attacker: typeof victim
let observer: typeof victim

beforeAll(async () => {
  machine = await makeMachine()
  await run("network", "create", "shared")
  const start = async (name: string, ...options: string[]) => {
    await run("run", "-d", "--name", name, "--net=shared", ...options, "base", "sh", "-c", SERVER, name)
    await sh(name, "until nc -w 2 127.0.0.1 80; do sleep 0.1; done")
    return settings(name)
  }
  victim = await start("victim")
  observer = await start("observer")
  attacker = await start("attacker", "--cap-add=NET_ADMIN", "--cap-add=NET_RAW")
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

/** What somebody is answered by another's server; nothing where he is not. */
const ask = (name: string, address: string) => sh(name, `nc -w 1 ${address} 80 || true`)

test("its own addresses are its own, both ways", async () => {
  for (const family of ["four", "six"] as const) {
    expect(await ask("attacker", observer[family])).toBe("observer\n")
    expect(await ask("observer", attacker[family])).toBe("attacker\n")
  }
  expect(await within(attacker.pid, "busybox", "ping", "-c1", "-W2", "172.17.5.2")).toContain("1 packets received")
  expect(await within(attacker.pid, "busybox", "ping", "-c1", "-W2", "fd00:99::2")).toContain("1 packets received")
}, 60_000)

// Tells from which addresses datagrams come, one a line, until nothing comes any more.
const RECEIVE = `import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 9999)); print("ready", flush=True)
s.settimeout(5)
try:
  while True:
    print(s.recvfrom(99)[1][0].replace("::ffff:", ""), flush=True); s.settimeout(1)
except TimeoutError: pass`
const SEND = `import socket, sys
source, to = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((source, 0)); s.sendto(b"x", (to, 9999))`

test("nothing comes from another's address, be it in use or not", async () => {
  const receiver = Bun.spawn(
    machine.host.within("nsenter", "--net", "--target", String(observer.pid), "python3", "-c", RECEIVE),
  )
  let seen = ""
  const all = (async () => {
    for await (const chunk of receiver.stdout) seen += new TextDecoder().decode(chunk)
  })()
  for (const end = Date.now() + 10_000; !seen.includes("ready") && Date.now() < end; ) await Bun.sleep(10)
  const send = (from: string) =>
    within(attacker.pid, "python3", "-c", SEND, from, from.includes(":") ? observer.six : observer.four)
  for (const from of [victim.four, "172.18.0.99", victim.six, victim.six.replace(/::.*$/, "::99")]) {
    const prefix = from.includes(":") ? "64 nodad" : "16"
    await within(attacker.pid, "sh", "-c", `ip address add ${from}/${prefix} dev eth0`)
    await send(from)
    await within(attacker.pid, "ip", "address", "del", `${from}/${prefix.split(" ")[0]}`, "dev", "eth0")
  }
  for (const from of [attacker.four, attacker.six]) await send(from)
  await all
  expect(seen).toBe(`ready\n${attacker.four}\n${attacker.six}\n`)
}, 60_000)

// As any process may, of IPv6: IPV6_FREEBIND.
const SEND_FREELY = `import errno, socket, sys
source, *to = sys.argv[1:]
at = lambda ip, port: (ip, port, 0, socket.if_nametoindex("eth0") if ip[:2] in ("ff", "fe") else 0)
for to in to:
  s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.setsockopt(socket.IPPROTO_IPV6, 78, 1); s.bind(at(source, 0))
  try: s.sendto(b"x", at(to, 9999)); print("sent")
  except OSError as e: print(errno.errorcode[e.errno])`

test("who may do neither sends from no address of IPv6 but its own", async () => {
  const sendsFrom = (source: string, ...to: string[]) =>
    within(observer.pid, "python3", "-c", SEND_FREELY, source, ...to)
  const everywhere = [attacker.six, "ff02::1", "fd00:99::2", "fe80::1"]
  for (const source of [victim.six, attacker.six, "2001:db8::1", "fe80::42:acff:fe12:99", "fd00:99::2"])
    expect([source, await sendsFrom(source, ...everywhere)]).toEqual([source, "EACCES\n".repeat(everywhere.length)])
  expect(await sendsFrom(observer.six, ...everywhere)).toBe("sent\n".repeat(everywhere.length))
  const own = await within(observer.pid, "sh", "-c", "ip -6 address show dev eth0 scope link")
  expect(await sendsFrom(/fe80\S+(?=\/)/.exec(own)?.[0] ?? "", "ff02::1", "fe80::1")).toBe("sent\n".repeat(2))
  expect(await sendsFrom("::1", "::1")).toBe("sent\n")
  // Whose address the kernel is to choose.
  expect(await ask("observer", attacker.six)).toBe("attacker\n")
  // Another's networks come and go.
  await run("network", "create", "--ipv6", "--subnet=10.65.0.0/24", "--subnet=fd00:65::/64", "more")
  // As of a toybox that knew nothing of it.
  const plain = "ip -6 rule flush; ip -6 rule add priority 0 lookup local; ip -6 rule add priority 32766 lookup main"
  await within(observer.pid, "sh", "-c", plain)
  await run("network", "connect", "more", "observer")
  expect(await sendsFrom(observer.six, attacker.six)).toBe("sent\n")
  expect(await sendsFrom(victim.six, attacker.six)).toBe("EACCES\n")
  const [{ NetworkSettings }] = JSON.parse(await run("inspect", "observer"))
  const { GlobalIPv6Address } = NetworkSettings.Networks.more
  expect(await sendsFrom(GlobalIPv6Address, "fd00:65::1")).toBe("sent\n")
  expect(await sendsFrom("fd00:65::77", "fd00:65::1")).toBe("EACCES\n")
  await run("network", "disconnect", "more", "observer")
  expect(await sendsFrom(GlobalIPv6Address, attacker.six)).toBe("EACCES\n")
  await run("network", "rm", "more")
}, 60_000)

test("who leaves one of two networks where its links have the same address keeps that of the other", async () => {
  await run("network", "create", "--ipv6", "--subnet=10.63.0.0/24", "--subnet=fd00:63::/64", "one")
  await run("network", "create", "--ipv6", "--subnet=10.64.0.0/24", "--subnet=fd00:64::/64", "two")
  const mac = "mac-address=02:42:00:00:00:07"
  await run("run", "-d", "--name=twice", `--net=name=one,${mac}`, `--net=name=two,${mac}`, "base", "sleep", "1000")
  const { pid } = await settings("twice")
  await run("network", "disconnect", "one", "twice")
  const rules = await within(pid, "ip", "-6", "rule")
  expect(rules).toContain("from fe80::42:ff:fe00:7 iif lo goto 30")
  expect(rules).toContain("from fd00:64::")
  expect(rules).not.toContain("from fd00:63::")
  await run("rm", "-f", "twice")
  await run("network", "rm", "one", "two")
}, 60_000)

test("who shares its network and may give itself addresses sends from them, as the other may then", async () => {
  await run("run", "-d", "--name=alone", "--net=shared", "base", "sleep", "1000")
  const { pid } = await settings("alone")
  const rules = () => within(pid, "ip", "-6", "rule")
  expect(await rules()).toContain("prohibit")
  const explained = (await run("run", "--explain", "--net=shared", "base", "true"))
    .split("\n")
    .flatMap((line) => /^nsenter -t \$PID -n (ip -6 rule .*)$/.exec(line)?.[1] ?? [])
  const made = await machine.host.run(["unshare", "--net", "sh", "-ec", [...explained, "ip -6 rule"].join("\n")])
  const shape = (text: string) => text.replaceAll(/from (fe80|fd)\S+/g, "from its own")
  expect(shape(made)).toBe(shape(await rules()))
  await run("run", "--rm", "--net=container:alone", "base", "true")
  expect(await rules()).toContain("prohibit")
  await run("run", "--rm", "--net=container:alone", "--cap-add=NET_ADMIN", "base", "true")
  expect(await rules()).toBe("0:\tfrom all lookup local\n32766:\tfrom all lookup main\n")
  await run("rm", "-f", "alone")
  const count = (...options: string[]) =>
    run("run", "--rm", "--net=shared", ...options, "base", "sh", "-c", "ip -6 rule | grep -c prohibit; true")
  expect(await count("--cap-add=NET_ADMIN")).toBe("0\n")
  // Nor who is to take addresses that a router gives.
  expect(await count("--sysctl=net.ipv6.conf.eth0.accept_ra=2")).toBe("0\n")
  expect(await count("--sysctl=net.ipv6.conf.eth0.accept_ra=0")).toBe("2\n")
}, 60_000)

test("nobody believes it that an address is its own", async () => {
  for (const family of ["four", "six"] as const) expect(await ask("observer", victim[family])).toBe("victim\n")
  await within(attacker.pid, "python3", "-c", CLAIM, victim.four, victim.six, attacker.mac)
  await Bun.sleep(200)
  const known = await within(observer.pid, "ip", "neigh")
  for (const address of [victim.four, victim.six])
    expect(known).toMatch(new RegExp(`^${address} dev eth0 lladdr ${victim.mac} `, "m"))
  const outside = await machine.sh("ip neigh")
  expect(outside).not.toMatch(new RegExp(`^${victim.four} .*${attacker.mac}`, "m"))
}, 60_000)

test("another's link address leads nothing to it", async () => {
  await within(
    attacker.pid,
    "sh",
    "-c",
    `ip link set eth0 address ${victim.mac}; busybox ping -c1 -W1 ${observer.four} || true`,
  )
  for (const family of ["four", "six"] as const) expect(await ask("observer", victim[family])).toBe("victim\n")
  await within(attacker.pid, "ip", "link", "set", "eth0", "address", attacker.mac)
  expect(await ask("attacker", observer.four)).toBe("observer\n")
}, 60_000)

test("no router's messages come from it", async () => {
  await within(attacker.pid, "python3", "-c", ADVERTISE)
  await Bun.sleep(300)
  for (const name of ["observer", "victim"]) {
    const told = await sh(name, "ip -6 route; ip -6 address")
    expect(told).not.toContain("2001:db8:bad")
    expect(told).not.toMatch(/default via fe80/)
  }
}, 60_000)

test("who shares its network, or connects later, is kept from it, too; then nothing of it is left", async () => {
  await run("run", "-d", "--name=beside", "--net=container:victim", "--cap-add=NET_ADMIN", "base", "sleep", "1000")
  await within(victim.pid, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:77")
  expect(await ask("victim", observer.four)).toBe("")
  await run("network", "create", "--subnet=10.66.0.0/24", "second")
  await run("network", "connect", "second", "attacker")
  await run("run", "-d", "--name=other", "--net=second", "base", "sh", "-c", SERVER, "other")
  const [{ NetworkSettings }] = JSON.parse(await run("inspect", "other"))
  const { IPAddress } = NetworkSettings
  await sh("other", "until nc -w 2 127.0.0.1 80; do sleep 0.1; done")
  expect(await ask("attacker", IPAddress)).toBe("other\n")
  await within(attacker.pid, "ip", "link", "set", "eth1", "address", "02:00:00:00:00:77")
  expect(await ask("attacker", IPAddress)).toBe("")
  expect(await machine.sh("nft list tables")).toContain("table bridge toybox")
  await run("network", "disconnect", "second", "attacker")
  // Who shares a network of another shares also what that one is connected to later.
  await run("network", "connect", "second", "victim")
  expect(await ask("victim", IPAddress)).toBe("other\n")
  await within(victim.pid, "ip", "link", "set", "eth1", "address", "02:00:00:00:00:77")
  expect(await ask("victim", IPAddress)).toBe("")
  await run("network", "disconnect", "shared", "victim")
  await run("rm", "-f", "attacker", "victim", "beside")
  expect(await machine.sh("nft list tables")).not.toContain("table bridge toybox\n")
  await run("rm", "-f", "--all")
}, 60_000)

test("a command that may make packets as it likes is kept from it, too, in whose network ever it is", async () => {
  await run("rm", "-f", "--all")
  await run("network", "create", "--subnet=10.67.0.0/24", "third")
  const start = async (name: string, net: string) => {
    await run("run", "-d", "--name", name, `--net=${net}`, "base", "sleep", "1000")
    return (await settings(name)).pid
  }
  const links = async () =>
    (await machine.sh("nft list set bridge toybox guarded || true")).match(/veth\w+/g)?.length ?? 0
  const owner = await start("owner", "third")
  await start("beside", "container:owner")
  await start("behind", "container:beside")
  await run("exec", "owner", "true")
  expect(await links()).toBe(0)
  await run("exec", "--privileged", "behind", "sh", "-c", "ip link set eth0 address 02:00:00:00:00:77")
  expect(await links()).toBe(1)
  const reaches = async () => machine.host.run(["nsenter", "--net", "--target", String(owner), ...REACH])
  expect(await reaches()).toContain("0 packets received")
  await run("exec", "--privileged", "owner", "true")
  expect(await links()).toBe(1)
  // What it is connected to later, as well.
  await run("network", "create", "--subnet=10.68.0.0/24", "fourth")
  await run("network", "connect", "fourth", "owner")
  expect(await links()).toBe(2)
  await run("rm", "-f", "owner")
  expect(await links()).toBe(0)
  await run("rm", "-f", "--all")
  await start("again", "third")
  await start("besides", "container:again")
  await run("run", "--rm", "--net=container:besides", "--cap-add=NET_RAW", "base", "true")
  expect(await links()).toBe(1)
  await run("rm", "-f", "--all")
  expect(await machine.sh("nft list tables")).not.toContain("table bridge toybox\n")
}, 60_000)

test("of many that end at once each is told nothing, and nothing of it is left", async () => {
  for (let round = 0; round < 6; round++) {
    const ends = Array.from({ length: 12 }, () => machine.told("run", "--rm", "--cap-add=NET_RAW", "base", "true"))
    for (const end of await Promise.all(ends)) expect(end).toEqual({ code: 0, stdout: "", stderr: "" })
    expect(await machine.sh("nft list tables")).not.toContain("table bridge toybox\n")
  }
}, 60_000)

test("a table of bridges that somebody else has made under our name is an error, and stays as it is", async () => {
  await machine.sh("nft add table bridge toybox; nft 'add chain bridge toybox theirs'")
  const { code, stderr } = await machine.told("run", "--rm", "--cap-add=NET_RAW", "base", "true")
  expect({ code, stderr }).toEqual({
    code: 125,
    stderr: expect.stringContaining("there is a table bridge toybox that this version of toybox has not made"),
  })
  await run("rm", "-f", "--all")
  await run("network", "prune")
  expect(await machine.sh("nft list table bridge toybox")).toContain("chain theirs")
  await machine.sh("nft delete table bridge toybox")
}, 60_000)
