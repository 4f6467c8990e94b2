import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { parseIp } from "../../src/network/ip.ts"
import { broadcastOf, type Cidr, describeLink, formatCidr, type LinkStep } from "../../src/network/links.ts"

const ip = (text: string) => parseIp(text) ?? new Uint8Array()
const cidr = (text: string): Cidr => ({ ip: ip(text.split("/")[0] ?? ""), prefix: Number(text.split("/")[1]) })

/** Network namespaces of sleeping processes: they go with them. */
const sleepers: ReturnType<typeof Bun.spawn>[] = []
function namespace(): number {
  const sleeper = Bun.spawn(["unshare", "--net", "sleep", "1000"], { stdin: "ignore", stdout: "ignore" })
  sleepers.push(sleeper)
  return sleeper.pid
}

const within = (pid: number, ...command: string[]) => ["nsenter", "--net", "--target", String(pid), ...command]

async function inside(pid: number, ...command: string[]): Promise<string> {
  const child = Bun.spawn(within(pid, ...command), { stderr: "pipe" })
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`)
  return stdout
}

/** Waits until a sleeper has its own namespace. */
async function ready(pid: number): Promise<void> {
  const deadline = Date.now() + 20_000
  const own = async (of: string) => (await Bun.$`readlink /proc/${of}/ns/net`.nothrow().quiet()).stdout.toString()
  while ((await own(String(pid))) === (await own("self"))) {
    if (Date.now() > deadline) throw new Error("no network namespace after 20 s")
    await Bun.sleep(5)
  }
}

async function carryOut(pid: number, steps: readonly LinkStep[]) {
  const child = Bun.spawn(within(pid, process.execPath, `${import.meta.dir}/links-child.ts`), {
    stdin: new Blob([
      JSON.stringify(steps, (_key, value) => (value instanceof Uint8Array ? { hex: value.toHex() } : value)),
    ]),
  })
  const [stdout] = await Promise.all([child.stdout.text(), child.exited])
  return JSON.parse(stdout)
}

afterAll(async () => {
  for (const sleeper of sleepers) sleeper.kill("SIGKILL")
  await Promise.all(sleepers.map((sleeper) => sleeper.exited))
})

const MTU = 1412
const alias = "toybox test"
const hostSteps = (pid: number): LinkStep[] => [
  { kind: "bridge", name: "tbx0", mac: Uint8Array.of(2, 1, 2, 3, 4, 5) },
  { kind: "mtu", name: "tbx0", mtu: MTU },
  { kind: "alias", name: "tbx0", alias },
  { kind: "address", link: { name: "tbx0", index: 0 }, address: cidr("10.88.3.1/22") },
  { kind: "address", link: { name: "tbx0", index: 0 }, address: cidr("fd12:3456::1/64") },
  {
    kind: "veth",
    name: "tbxv0",
    mtu: MTU,
    bridge: { name: "tbx0", index: 0 },
    peer: { name: "eth0", mac: Uint8Array.fromHex("0242ac110002"), pid },
  },
  { kind: "port", name: "tbxv0", isolated: true, hairpin: true },
]
const containerSteps: LinkStep[] = [
  { kind: "up", name: "lo" },
  { kind: "up", name: "eth0" },
  { kind: "address", link: { name: "eth0", index: 0 }, address: cidr("10.88.3.2/22") },
  { kind: "address", link: { name: "eth0", index: 0 }, address: cidr("fd12:3456::2/64") },
  { kind: "default-route", link: { name: "eth0", index: 0 }, gateway: ip("10.88.3.1") },
  { kind: "default-route", link: { name: "eth0", index: 0 }, gateway: ip("fd12:3456::1") },
]

/** What ip(8) tells, without what is another one's every time. */
async function told(pid: number): Promise<unknown> {
  const changing =
    /^(ifindex|address|link_index|link_netnsid|link_netns|designated_bridge|designated_root|bridge_id|root_id|\w+_timer|stats64|local|operstate|flags|state)$/
  const texts = await Promise.all(
    ["-d link", "-d address", "-4 route", "-6 route"].map((words) =>
      inside(pid, "ip", "-j", ...words.split(" "), "show"),
    ),
  )
  return texts.map((text) =>
    JSON.parse(text || "[]", (key, value) =>
      changing.test(key) || (key === "local" && String(value).startsWith("fe80")) ? undefined : value,
    ).filter((entry: { dst?: string }) => !entry.dst?.startsWith("fe80")),
  )
}

describe("links, addresses and routes", () => {
  let ours: [number, number]
  let theirs: [number, number]
  beforeAll(async () => {
    ours = [namespace(), namespace()]
    theirs = [namespace(), namespace()]
    await Promise.all([...ours, ...theirs].map(ready))
  })

  test("are as the lines of ip(8) make them that are shown for them", async () => {
    const [host, container] = ours
    const done = await carryOut(host, hostSteps(container))
    expect(done).toMatchObject({ errors: [], bridge: { name: "tbx0", mtu: MTU, alias, type: "bridge" }, nothing: null })
    expect(done.routes).toContain("0a580000/22 link")
    expect(done.mtu).toBeNull()
    const inner = await carryOut(container, containerSteps)
    expect(inner.errors).toEqual([])
    expect(inner.routes).toEqual(expect.arrayContaining(["00000000/0 link", `${"0".repeat(32)}/0 link`]))
    expect(inner.mtu).toBe(MTU)

    const [otherHost, otherContainer] = theirs
    for (const step of hostSteps(otherContainer)) await inside(otherHost, "sh", "-c", describeLink(step))
    for (const step of containerSteps) await inside(otherContainer, "sh", "-c", describeLink(step))
    expect(await told(host)).toEqual(await told(otherHost))
    expect(await told(container)).toEqual(await told(otherContainer))
    const [eth0] = JSON.parse(await inside(container, "ip", "-j", "link", "show", "eth0"))
    expect(eth0.address).toBe("02:42:ac:11:00:02")
  }, 30_000)

  test("carry packets of IPv4 and IPv6", async () => {
    const [host, container] = ours
    for (const to of ["10.88.3.1", "fd12:3456::1"])
      await inside(container, "busybox", "ping", "-c", "1", "-W", "20", to)
    for (const to of ["10.88.3.2", "fd12:3456::2"]) await inside(host, "busybox", "ping", "-c", "1", "-W", "20", to)
  }, 60_000)

  test("a step that is refused names its line, and the kernel's reason", async () => {
    const [host, container] = ours
    const { errors } = await carryOut(host, [
      ...hostSteps(container).filter(({ kind }) => kind === "bridge"),
      ...hostSteps(container)
        .filter(({ kind }) => kind === "address")
        .slice(0, 1),
      { kind: "delete", name: "nonesuch" },
      { kind: "up", name: "averyveryverylongname" },
    ])
    expect(errors[0]).toContain("(ip link add tbx0 address 02:01:02:03:04:05 up type bridge mcast_snooping 0): EEXIST")
    expect(errors[1]).toContain("(ip address add 10.88.3.1/22 dev tbx0 broadcast +): EEXIST")
    expect(errors[2]).toContain("(ip link delete nonesuch): ENODEV")
    expect(errors[3]).toMatch(/\(ip link set averyveryverylongname up\): E\w+ \(.*attribute 3\)/)
  }, 30_000)

  test("are gone when they are deleted: both ends of a pair", async () => {
    const [host, container] = ours
    const steps: LinkStep[] = [
      { kind: "delete", name: "tbxv0" },
      { kind: "delete", name: "tbx0" },
    ]
    expect((await carryOut(host, steps)).errors).toEqual([])
    for (const pid of [host, container])
      expect(
        JSON.parse(await inside(pid, "ip", "-j", "link")).map(({ ifname }: { ifname: string }) => ifname),
      ).not.toContain(pid === host ? "tbx0" : "eth0")
  }, 30_000)
})

test.each([
  ["10.1.2.3/8", "10.255.255.255"],
  ["172.17.0.1/16", "172.17.255.255"],
  ["192.168.5.9/30", "192.168.5.11"],
  ["10.0.0.1/32", "10.0.0.1"],
  ["10.88.3.1/22", "10.88.3.255"],
])("the broadcast address of %s is %s", (network, last) => {
  expect(broadcastOf(cidr(network))).toEqual(ip(last))
  expect(formatCidr(cidr(network))).toBe(network)
})
