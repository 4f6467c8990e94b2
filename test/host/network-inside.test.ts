/** What a container makes of its own network: its settings, and who shares it. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot } from "../helpers/toybox.ts"

let machine: Machine
const run = (...words: string[]) => machine.run(...words)

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

test("settings of links are made when the links are there, every time", async () => {
  const settings = {
    "net.ipv4.conf.eth0.rp_filter": "2",
    "net.ipv6.conf.eth0.accept_ra": "0",
    "net.ipv4.ip_forward": "1",
  }
  const words = Object.entries(settings).flatMap(([key, value]) => ["--sysctl", `${key}=${value}`])
  const show = Object.keys(settings).map((key) => `/proc/sys/${key.replaceAll(".", "/")}`)
  for (let i = 0; i < 20; i++) expect(await run("run", "--rm", ...words, "base", "cat", ...show)).toBe("2\n0\n1\n")
  await run("run", "-d", "--name=kept", ...words, "base", "sleep", "1000")
  expect(await run("exec", "kept", "cat", ...show)).toBe("2\n0\n1\n")
  expect(
    (await machine.told("run", "--rm", "--sysctl=net.ipv4.conf.eth7.rp_filter=2", "base", "true")).stderr,
  ).toContain("net.ipv4.conf.eth7.rp_filter")
  await run("rm", "-f", "kept")
}, 60_000)

test("a link asks nobody for routers or for its own address, and its end out here has none", async () => {
  const show = "cat /proc/sys/net/ipv6/conf/eth0/accept_ra; ip -o -6 address show dev eth0"
  const told = await run("run", "--rm", "base", "sh", "-c", show)
  expect(told).toMatch(/^0\n/)
  expect(told).toContain("inet6 fe80::")
  expect(told).not.toContain("tentative")
  expect(await run("run", "--rm", "--sysctl=net.ipv6.conf.eth0.accept_ra=2", "base", "sh", "-c", show)).toMatch(/^2\n/)
  await run("run", "-d", "--name=kept", "base", "sleep", "1000")
  // Those of the ones before go in the kernel's own time.
  await machine.sh("timeout 10 sh -c 'until [ $(grep -c veth /proc/net/dev) = 1 ]; do sleep 0.01; done'")
  expect(await machine.sh("ip -o -6 address show; ip -6 route show table all")).not.toContain("veth")
  const [bridge] = await machine.json("-d link show type bridge")
  expect(bridge.linkinfo.info_data.mcast_snooping).toBe(0)
  await run("rm", "-f", "kept")
}, 60_000)

test("a container that has IPv6 switched off has no address of it, in no file and no listing", async () => {
  await run("network", "create", "second")
  const off = ["--sysctl", "net.ipv6.conf.all.disable_ipv6=1"]
  for (let i = 0; i < 10; i++)
    expect(await run("run", "--rm", ...off, "base", "sh", "-c", "ip -6 address; cat /etc/hosts")).not.toMatch(
      /\bfd[0-9a-f]{2}:/,
    )
  await run("run", "-d", "--name=four", ...off, "base", "sleep", "1000")
  await run("network", "connect", "second", "four")
  const { Networks } = JSON.parse(await run("inspect", "four"))[0].NetworkSettings
  expect(Object.values(Networks)).toMatchObject([{ GlobalIPv6Address: "" }, { GlobalIPv6Address: "" }])
  await run("rm", "-f", "four")
  await run("network", "rm", "second")
}, 60_000)

const hosts = (name: string) => run("exec", name, "cat", "/etc/hosts")

test("what a container writes to its hosts file is not read without a limit", async () => {
  await run("network", "create", "--subnet=10.63.0.0/24", "filled")
  await run("run", "-d", "--name=fills", "--net=filled", "--hostname=vault", "base", "sleep", "1000")
  await run("run", "-d", "--name=adds", "--net=filled", "base", "sleep", "1000")
  await run("exec", "fills", "sh", "-c", "echo > /etc/hosts; truncate -s 300M /etc/hosts")
  await run(
    "exec",
    "adds",
    "sh",
    "-c",
    "echo 10.9.9.9 mine >> /tmp/h; cat /etc/hosts >> /tmp/h; cat /tmp/h > /etc/hosts",
  )
  const started = performance.now()
  await run("run", "-d", "--name=later", "--net=filled", "base", "sleep", "1000")
  expect(performance.now() - started).toBeLessThan(3000)
  expect(Number(await run("exec", "fills", "stat", "-c", "%s", "/etc/hosts"))).toBeLessThan(1000)
  expect(await hosts("fills")).toMatch(
    /^127\.0\.0\.1\tlocalhost\n(.*\n)*10\.63\.0\.2\tvault\n(.*\n)*10\.63\.0\.4\tlater /,
  )
  expect(await hosts("adds")).toMatch(/^10\.9\.9\.9 mine\n(.*\n)*10\.63\.0\.4\tlater /)
  await run("rm", "-f", "fills", "adds", "later")
  await run("network", "rm", "filled")
}, 60_000)

test("who shares a network shares its names; when its container ends, its addresses are free for others", async () => {
  await run("network", "create", "--subnet=10.62.0.0/24", "shared")
  await run("run", "-d", "--name=db", "--net=shared", "--hostname=vault", "base", "sleep", "1000")
  await run("run", "-d", "--name=beside", "--net=container:db", "base", "sleep", "1000")
  await run("run", "-d", "--name=behind", "--net=container:beside", "base", "sleep", "1000")
  await run("run", "-d", "--name=later", "--net=shared", "base", "sleep", "1000")
  for (const name of ["beside", "behind"]) {
    expect(await run("exec", name, "cat", "/etc/hosts", "/etc/hostname", "/proc/sys/kernel/hostname")).toBe(
      `${await hosts("db")}vault\nvault\n`,
    )
    expect(await hosts(name)).toMatch(/^10\.62\.0\.3\tlater /m)
    expect(JSON.parse(await run("inspect", name))[0].Mounts).toEqual([])
  }
  for (const option of ["--hostname=x", "--add-host=a:1.2.3.4", "--dns=1.2.3.4"])
    expect((await machine.told("run", "--rm", "--net=container:db", option, "base", "true")).stderr).toContain(
      `${option.split("=")[0]} does not go with --net container:ID`,
    )
  await run("rm", "-f", "db")
  expect(await run("exec", "beside", "ip", "-o", "-4", "address")).not.toContain("10.62.0.2")
  await run(
    "run",
    "-d",
    "--name=heir",
    "--net=shared",
    "--ip=10.62.0.2",
    "base",
    "nc",
    "-ll",
    "-p",
    "80",
    "-e",
    "echo",
    "heir",
  )
  expect(await run("exec", "later", "sh", "-c", "until nc -w 2 10.62.0.2 80; do sleep 0.1; done")).toBe("heir\n")
  await run("rm", "-f", "--all")
  await run("network", "rm", "shared")
}, 60_000)

test("a container knows itself by the names that others know it by", async () => {
  await run("network", "create", "--subnet=10.63.0.0/24", "--subnet=fd00:63::/64", "named")
  await run(
    "run",
    "-d",
    "--name=me",
    "--net=named",
    "--net-alias=myself",
    "--domainname=example.org",
    "base",
    "sleep",
    "1000",
  )
  expect(await hosts("me")).toMatch(/^10\.63\.0\.2\t[0-9a-f]{12}\.example\.org [0-9a-f]{12}$/m)
  expect(await hosts("me")).toMatch(/^10\.63\.0\.2\tme myself [0-9a-f]{12}$/m)
  await run("rename", "me", "other")
  expect(await hosts("other")).toMatch(/^10\.63\.0\.2\tother myself /m)
  await run("rm", "-f", "other")
  await run("network", "rm", "named")
  expect((await machine.told("run", "--rm", "--net-alias=x", "base", "true")).stderr).toContain(
    "in the default network containers have no names",
  )
}, 60_000)

test("with the machine's network a container has the machine's name", async () => {
  const name = (await Bun.file("/proc/sys/kernel/hostname").text()).trim()
  expect(
    await run("run", "--rm", "--net=host", "base", "sh", "-c", "hostname; cat /etc/hostname; echo $HOSTNAME"),
  ).toBe(`${name}\n${name}\n${name}\n`)
  expect(await run("run", "--rm", "--net=host", "--hostname=own", "base", "hostname")).toBe("own\n")
}, 60_000)

test("where only this machine reaches its name servers it is told", async () => {
  const file = `${stateRoot()}/resolv.conf`
  await Bun.write(file, "nameserver 127.0.0.1\nnameserver fe80::1%out\n")
  const told = async (...words: string[]) => {
    const command = machine
      .toybox("run", "--rm", ...words, "base", "cat", "/etc/resolv.conf")
      .map((word) => `'${word}'`)
    return machine.sh(`unshare -m sh -ec "mount --bind ${file} /etc/resolv.conf; exec ${command.join(" ")}" 2>&1`)
  }
  expect(await told()).toMatch(/reaches no name server: this machine's \(127\.0\.0\.1, fe80::1%out\).*--dns/)
  expect(await told("--dns=192.0.2.1")).toBe("nameserver 192.0.2.1\n")
  expect(await told("--net=none")).not.toContain("name server")
}, 60_000)
