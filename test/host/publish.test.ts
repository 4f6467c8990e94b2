/** Published ports: in a network namespace that plays the machine, beside one that plays the outside. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import type { Namespace } from "../helpers/network.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot } from "../helpers/toybox.ts"

const PEER = [process.execPath, `${import.meta.dir}/firewall-peer.ts`]
const WITHIN = "20000"
const BRIEFLY = "1500"
let machine: Machine
let host: Namespace
let outside: Namespace

const run = (...words: string[]) => machine.run(...words)
const sh = (where: Namespace, script: string) => where.run(["sh", "-ec", script])
const ask = async (where: Namespace, protocol: string, address: string, port: number, milliseconds = WITHIN) =>
  (await where.run([...PEER, "ask", protocol, address, String(port), milliseconds])).trim()
/** A server in a container that says who it is. */
const serve = async (name: string, ...options: string[]) => {
  const server = `nc -ll -p 80 -e echo ${name} & nc -ll -p 81 -e echo ${name}-81 & wait`
  const id = (await run("run", "-d", "--name", name, ...options, "base", "sh", "-c", server)).trim()
  await run("exec", name, "sh", "-c", "until nc -w 2 127.0.0.1 80 && nc -w 2 127.0.0.1 81; do sleep 0.1; done")
  return id
}
const elements = () => sh(host, "nft list table inet toybox | grep -c ' comment ' || true")

beforeAll(async () => {
  machine = await makeMachine()
  host = machine.host
  outside = machine.outside
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

test("a port is reached from outside, from this machine, from another container and from its own", async () => {
  await serve("web", "-p", "8080:80", "-p", "127.0.0.1:8081:81")
  const asked = ["172.17.5.1", "fd00:99::1"].map(async (address) => {
    expect(await ask(outside, "tcp", address, 8080)).toBe("web")
    expect(await ask(outside, "tcp", address, 8081, BRIEFLY)).toBe("")
  })
  await Promise.all(asked)
  for (const address of ["127.0.0.1", "172.17.5.1", "fd00:99::1"])
    expect(await ask(host, "tcp", address, 8080)).toBe("web")
  expect(await ask(host, "tcp", "127.0.0.1", 8081)).toBe("web-81")
  const nc = "nc -w 10 172.17.5.1 8080"
  expect(await run("run", "--rm", "base", "sh", "-c", nc)).toBe("web\n")
  expect(await run("exec", "web", "sh", "-c", nc)).toBe("web\n")

  expect(await run("port", "web")).toBe("80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n81/tcp -> 127.0.0.1:8081\n")
  expect(await run("port", "web", "80")).toBe("0.0.0.0:8080\n[::]:8080\n")
  expect(run("port", "web", "80/udp")).rejects.toThrow("80/udp of container web is not published")
  expect(await run("ps")).toContain("0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:8081->81/tcp")
  expect(JSON.parse(await run("inspect", "web"))[0].NetworkSettings.Ports["80/tcp"]).toEqual([
    { HostIp: "0.0.0.0", HostPort: "8080" },
    { HostIp: "::", HostPort: "8080" },
  ])

  await run("restart", "-t", "0", "web")
  await run("exec", "web", "sh", "-c", "until nc -w 2 127.0.0.1 80; do sleep 0.1; done")
  expect(await ask(outside, "tcp", "172.17.5.1", 8080)).toBe("web")
  await run("rm", "-f", "web")
  expect(await elements()).toBe("0\n")
}, 120_000)

test("a port that is taken is told with who has it, before anything is started; then it is free again", async () => {
  await serve("first", "-p", "8090:80")
  const second = () => run("run", "-d", "--name", "second", "-p", "8090:80", "base", "sleep", "1000")
  expect(second()).rejects.toThrow("port 8090/tcp of the host is in use by the container first")
  expect(await run("ps", "-a", "--format", "{{.Names}}")).toBe("first\n")
  await run("stop", "-t", "0", "first")
  await second()
  expect(run("start", "first")).rejects.toThrow("port 8090/tcp of the host is in use by the container second")
  await run("rm", "-f", "first", "second")
  expect(await elements()).toBe("0\n")
}, 120_000)

test("UDP, ranges, and free ports for what is exposed", async () => {
  const ports = ["-p", "5353:53/udp", "-p", "7000-7002:80-82", "-P", "--expose", "99"]
  await run("run", "-d", "--name", "dns", ...ports, "base", "sleep", "1000")
  const { Pid } = JSON.parse(await run("inspect", "dns"))[0].State
  // The base has no server of UDP.
  const server = Bun.spawn(["nsenter", "--net", "--target", String(Pid), ...PEER, "serve", "53", "dns"], {
    stdin: "ignore",
    stdout: "ignore",
  })
  expect(await ask(outside, "udp", "172.17.5.1", 5353)).toBe("dns")
  expect(await ask(outside, "udp", "fd00:99::1", 5353)).toBe("dns")
  expect(await ask(host, "udp", "127.0.0.1", 5353)).toBe("dns")
  server.kill("SIGKILL")
  await server.exited
  const shown = await run("ps", "--format", "{{.Ports}}")
  expect(shown).toContain("0.0.0.0:5353->53/udp")
  expect(shown).toContain("0.0.0.0:7000-7002->80-82/tcp")
  expect(shown).toMatch(/0\.0\.0\.0:\d+->99\/tcp/)
  await run("rm", "-f", "dns")
}, 120_000)

test("docker's other forms: any port by 0, the long form, and SCTP on a port that is chosen", async () => {
  await run(
    "run",
    "-d",
    "--name=forms",
    "-p",
    "0:80",
    "-p",
    "published=8130,target=81",
    "-p",
    "9899/sctp",
    "base",
    "sleep",
    "99",
  )
  const told = await run("port", "forms")
  expect(told).toMatch(/^80\/tcp -> 0\.0\.0\.0:[1-9]\d+$/m)
  expect(told).toMatch(/^81\/tcp -> 0\.0\.0\.0:8130$/m)
  expect(told).toMatch(/^9899\/sctp -> 0\.0\.0\.0:[1-9]\d+$/m)
  await run("rm", "-f", "forms")
  const refused = async (port: string, prefix = "") => {
    const words = machine.toybox("run", "--rm", "-p", port, "base", "true").map((word) => `'${word}'`)
    return sh(host, `(${prefix} ${words.join(" ")}) 2>&1 || true`)
  }
  expect(await refused("[fe80::1]:80:80")).toContain("fe80::1 means another address on each link")
  expect(await refused("20000-21000:20000-21000", "ulimit -n 500;")).toContain("ulimit -n")
  expect(await elements()).toBe("0\n")
}, 60_000)

test("after kill -9 nothing is led anywhere any more, and the port is free", async () => {
  const killed = Bun.spawn(
    host.within(...machine.toybox("run", "--rm", "--name=dies", "-p", "8100:80", "base", "sleep", "1000").slice(4)),
    { stdin: "ignore", stdout: "ignore" },
  )
  const deadline = Date.now() + 30_000
  while (!(await run("ps", "--format", "{{.Names}}")).includes("dies") && Date.now() < deadline) await Bun.sleep(20)
  expect(await elements()).not.toBe("0\n")
  killed.kill("SIGKILL")
  await killed.exited
  await serve("heir", "-p", "8100:80")
  expect(await ask(outside, "tcp", "172.17.5.1", 8100)).toBe("heir")
  await run("rm", "-f", "heir")
  expect(await elements()).toBe("0\n")
}, 120_000)

/** Beside somebody's policy to drop what is forwarded. */
async function besideDrops(policy: string, end: string, action: () => Promise<void>): Promise<void> {
  await sh(host, policy)
  try {
    await action()
  } finally {
    await sh(host, end)
  }
}

/** Of this test's containers: others run containers on this machine at the same time. */
const forwarders = async () => {
  const own = `for pid in $(pgrep -fx 'toybox forward .*'); do
    grep -qz '^TOYBOX_ROOT=${stateRoot()}$' /proc/$pid/environ 2>/dev/null && echo $pid; done; true`
  return (await sh(host, own)).split("\n").filter(Boolean)
}

test.each([
  [
    "nft",
    "nft add table ip theirs; nft 'add chain ip theirs judge { type filter hook forward priority 0; policy drop; }'",
    "nft delete table ip theirs",
  ],
  ["iptables", "iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT; iptables -F FORWARD"],
  [
    "docker",
    `iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -N DOCKER-ISOLATION-STAGE-1
     iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1
     iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
     iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN; iptables -A DOCKER-USER -j RETURN`,
    "iptables -P FORWARD ACCEPT; iptables -F FORWARD; iptables -F DOCKER-USER; iptables -X DOCKER-USER; iptables -F DOCKER-ISOLATION-STAGE-1; iptables -X DOCKER-ISOLATION-STAGE-1",
  ],
])(
  "beside a firewall that drops what is forwarded (%s) ports go through a process",
  async (tool, policy, end) => {
    await besideDrops(policy, end, async () => {
      const ports = ["-p", "8110:80", "-p", "8111:81/tcp", "-p", "5354:53/udp"]
      const server = "nc -ll -p 80 -e echo in & nc -ll -p 81 -e cat & wait"
      await run("network", "create", "--internal", "dark")
      const started = machine.toybox("run", "-d", "--name", "behind", ...ports, "base", "sh", "-c", server)
      const said = await sh(host, `${started.map((word) => `'${word}'`).join(" ")} 2>&1 >/dev/null`)
      expect(said).toContain(`(${tool}) drops what is forwarded`)
      expect(said).toContain("published ports go through a process of toybox's own")
      await run("exec", "behind", "sh", "-c", "until nc -w 2 127.0.0.1 80; do sleep 0.1; done")
      // From a network without a way out it is none, which takes its time.
      const [{ IPAM }] = JSON.parse(await run("network", "inspect", "dark"))
      const words = ["--net=dark", "base", "sh", "-c", `nc -w 2 ${IPAM.Config[0].Gateway} 8110 || echo none`]
      const reached = run("run", "--rm", ...words)
      reached.catch(() => undefined)
      for (const [where, address] of [
        [outside, "172.17.5.1"],
        [outside, "fd00:99::1"],
        [host, "127.0.0.1"],
        [host, "::1"],
        [host, "172.17.5.1"],
      ] as const)
        expect({ address, said: await ask(where, "tcp", address, 8110) }).toEqual({ address, said: "in" })
      expect(await run("exec", "behind", "nc", "-w", "10", "172.17.5.1", "8110")).toBe("in\n")
      // Much, both ways at once, and the end of one direction.
      const bytes = 8_000_000
      const echoed = `head -c ${bytes} /dev/urandom > $1; timeout 60 ${process.execPath} ${import.meta.dir}/forward-peer.ts 172.17.5.1 8111 < $1 | cmp - $1 && echo same`
      const file = `${stateRoot()}/bytes`
      expect(await outside.run(["sh", "-c", echoed, "sh", file])).toBe("same\n")
      expect(await reached).toBe("none\n")
      const { Pid } = JSON.parse(await run("inspect", "behind"))[0].State
      const dns = Bun.spawn(["nsenter", "--net", "--target", String(Pid), ...PEER, "serve", "53", "dns"], {
        stdin: "ignore",
        stdout: "ignore",
      })
      expect(await ask(outside, "udp", "172.17.5.1", 5354)).toBe("dns")
      expect(await ask(host, "udp", "127.0.0.1", 5354)).toBe("dns")
      dns.kill("SIGKILL")
      await dns.exited
      expect(await forwarders()).toHaveLength(1)
      await run("restart", "-t", "0", "behind")
      await run("exec", "behind", "sh", "-c", "until nc -w 2 127.0.0.1 80; do sleep 0.1; done")
      expect(await ask(outside, "tcp", "172.17.5.1", 8110)).toBe("in")
      expect(await forwarders()).toHaveLength(1)
      await run("rm", "-f", "behind")
      expect(await forwarders()).toEqual([])
      expect(await sh(host, "nft list set inet toybox forwarded")).not.toContain("elements")
      await run("network", "rm", "dark")
    })
  },
  120_000,
)

test("beside a firewall that lets a network's ports through the kernel leads them, also where it drops by a rule", async () => {
  await sh(host, "iptables -A FORWARD -j REJECT")
  await serve("behind", "-p", "8115:80")
  expect(await ask(outside, "tcp", "172.17.5.1", 8115)).toBe("behind")
  expect(await forwarders()).toHaveLength(1)
  await run("rm", "-f", "behind")
  await sh(host, "iptables -I FORWARD -i tb-+ -j ACCEPT; iptables -I FORWARD -o tb-+ -j ACCEPT")
  await serve("before", "-p", "8115:80")
  expect(await ask(outside, "tcp", "172.17.5.1", 8115)).toBe("before")
  expect(await forwarders()).toEqual([])
  await run("rm", "-f", "before")
  await sh(host, "iptables -F FORWARD")
}, 120_000)

test("the process ends with its container, also when toybox is killed; and the port is free", async () => {
  await besideDrops("iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT", async () => {
    await serve("killed", "-p", "8112:80")
    expect(await ask(outside, "tcp", "172.17.5.1", 8112)).toBe("killed")
    expect(await forwarders()).toHaveLength(1)
    const { supervisor } = JSON.parse(
      await sh(host, `cat ${stateRoot()}/run/running/$(basename ${stateRoot()}/containers/*)`),
    )
    process.kill(supervisor.pid, "SIGKILL")
    for (const end = performance.now() + 10_000; (await forwarders()).length > 0; await Bun.sleep(50))
      if (performance.now() > end) throw new Error("the process has not ended")
    await run("rm", "killed")
    await serve("next", "-p", "8112:80")
    expect(await ask(outside, "tcp", "172.17.5.1", 8112)).toBe("next")
    await run("rm", "-f", "next")
  })
}, 120_000)

test("ports go on to another network when theirs is left, and come with one where there was none", async () => {
  await run("network", "create", "other")
  // A process looks where its container is now and then.
  const answered = async () => {
    let said = ""
    for (const end = Date.now() + 20_000; said === "" && Date.now() < end; await Bun.sleep(50))
      said = await ask(outside, "tcp", "172.17.5.1", 8170, BRIEFLY)
    return said
  }
  const moves = async () => {
    expect(await ask(outside, "tcp", "172.17.5.1", 8170)).toBe("moves")
    await run("network", "disconnect", "bridge", "moves")
    expect(await answered()).toBe("moves")
    await run("network", "disconnect", "other", "moves")
    await Bun.sleep(600)
    expect(await ask(outside, "tcp", "172.17.5.1", 8170, BRIEFLY)).toBe("")
    await run("network", "connect", "bridge", "moves")
    expect(await answered()).toBe("moves")
    await run("rm", "-f", "moves")
  }
  await serve("moves", "-p", "8170:80", "--net=bridge", "--net=other")
  await moves()
  await besideDrops("iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT", async () => {
    await serve("moves", "-p", "8170:80", "--net=bridge", "--net=other")
    await moves()
  })
  await run("network", "rm", "other")
  expect(await elements()).toBe("0\n")
}, 120_000)

test("a port of an IPv6 address leads to a container that has none", async () => {
  await run("network", "create", "--ipv6=false", "four")
  await serve("four", "--net=four", "-p", "[fd00:99::1]:8171:80")
  expect(await ask(outside, "tcp", "fd00:99::1", 8171)).toBe("four")
  await run("rm", "-f", "four")
  await run("network", "rm", "four")
}, 120_000)

test("from ::1 a port is reached, too: by a process, there from when somebody comes", async () => {
  await run("network", "create", "--internal", "shut")
  await run("network", "create", "--ipv6=false", "four")
  const gateways = JSON.parse(await run("network", "inspect", "shut"))[0].IPAM.Config.map(
    ({ Gateway }: { Gateway: string }) => Gateway,
  )
  for (const network of ["bridge", "four"]) {
    await serve("six", `--net=${network}`, "-p", "[::1]:8113:81", "-p", "8114:80", "-p", "127.0.0.1:8116:80")
    expect(await ask(outside, "tcp", "172.17.5.1", 8114)).toBe("six")
    expect(await ask(host, "tcp", "127.0.0.1", 8114)).toBe("six")
    expect(await ask(host, "tcp", "127.0.0.1", 8116)).toBe("six")
    expect(await run("port", "six", "80")).toBe("0.0.0.0:8114\n[::]:8114\n127.0.0.1:8116\n")
    expect(await forwarders()).toEqual([])
    expect(await ask(host, "tcp", "::1", 8114)).toBe("six")
    expect(await ask(host, "tcp", "::1", 8113)).toBe("six-81")
    expect(await ask(host, "tcp", "::1", 8116)).toBe("")
    expect(await ask(outside, "tcp", "fd00:99::1", 8114)).toBe("six")
    expect(await ask(outside, "tcp", "fd00:99::1", 8113, BRIEFLY)).toBe("")
    expect(await forwarders()).toHaveLength(1)
    const reached = gateways.map((gateway: string) => {
      const nc = `nc -w 2 ${gateway} 8114 || echo none`
      return run("run", "--rm", "--net=shut", "base", "sh", "-c", nc)
    })
    for (const said of await Promise.all(reached)) expect(said).toBe("none\n")
    await run("rm", "-f", "six")
    expect(await forwarders()).toEqual([])
    expect(await elements()).toBe("0\n")
    expect(await sh(host, "nft list set inet toybox forwarded")).not.toContain("elements")
  }
  await run("network", "rm", "shut", "four")
}, 120_000)

test("a port that two containers serve, each at an address of its own, stays shut to networks without a way out", async () => {
  await besideDrops("iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT", async () => {
    await serve("one", "-p", "127.0.0.1:8118:80")
    await serve("two", "-p", "172.17.5.1:8118:80")
    await run("network", "create", "--internal", "shut")
    const [{ IPAM }] = JSON.parse(await run("network", "inspect", "shut"))
    const words = ["--net=shut", "base", "sh", "-c", "nc -w 2 172.17.5.1 8118 || echo none"]
    const route = `ip route add 172.17.5.1 via ${IPAM.Config[0].Gateway}`
    const ask = () => run("run", "--rm", "--cap-add=NET_ADMIN", ...words.slice(0, -1), `${route}; ${words.at(-1)}`)
    expect(await ask()).toBe("none\n")
    await run("rm", "-f", "one")
    expect(await sh(host, "nft list set inet toybox forwarded")).toContain("tcp . 8118")
    expect(await ask()).toBe("none\n")
    await run("rm", "-f", "two")
    expect(await sh(host, "nft list set inet toybox forwarded")).not.toContain("elements")
    await run("network", "rm", "shut")
  })
}, 120_000)

test("a container of the foreground is reached from ::1, too, also when the process was killed, and leaves nothing", async () => {
  const server = "nc -ll -p 80 -e echo near"
  const words = machine.toybox("run", "--rm", "--name=near", "-p", "8117:80", "base", "sh", "-c", server)
  const near = Bun.spawn(host.within(...words), { stdin: "ignore", stdout: "ignore" })
  let said = ""
  for (const end = Date.now() + 30_000; said === "" && Date.now() < end; await Bun.sleep(50))
    said = await ask(host, "tcp", "::1", 8117)
  expect(said).toBe("near")
  const killed = await forwarders()
  expect(killed).toHaveLength(1)
  await sh(host, `kill -9 ${killed[0]}`)
  for (const end = Date.now() + 10_000; (await forwarders()).length > 0 && Date.now() < end; ) await Bun.sleep(20)
  expect(await ask(host, "tcp", "::1", 8117)).toBe("near")
  await run("stop", "-t", "0", "near")
  await near.exited
  expect(await forwarders()).toEqual([])
  await serve("next", "-p", "8117:80")
  expect(await ask(host, "tcp", "::1", 8117)).toBe("next")
  await sh(host, `kill -9 ${(await forwarders())[0]}`)
  for (const end = Date.now() + 10_000; (await forwarders()).length > 0 && Date.now() < end; ) await Bun.sleep(20)
  expect(await ask(host, "tcp", "::1", 8117)).toBe("next")
  await run("rm", "-f", "next")
}, 120_000)

test("datagrams come from ::1, too; an answer leaves by the address that was asked", async () => {
  await sh(host, "ip address add 172.17.5.9/24 dev out; ip address add fd00:99::9/64 dev out nodad")
  const served = async (ports: readonly string[], action: () => Promise<void>) => {
    await run("run", "-d", "--name", "dns", ...ports, "base", "sleep", "1000")
    const { Pid } = JSON.parse(await run("inspect", "dns"))[0].State
    const dns = Bun.spawn(["nsenter", "--net", "--target", String(Pid), ...PEER, "serve", "53", "dns"], {
      stdin: "ignore",
      stdout: "ignore",
    })
    try {
      await action()
    } finally {
      dns.kill("SIGKILL")
      await dns.exited
      await run("rm", "-f", "dns")
    }
  }
  const everywhere = [
    [outside, "172.17.5.1"],
    [outside, "172.17.5.9"],
    [outside, "fd00:99::1"],
    [outside, "fd00:99::9"],
    [host, "127.0.0.1"],
    [host, "127.0.0.3"],
    [host, "172.17.5.9"],
    [host, "::1"],
  ] as const
  const asked = async () => {
    for (const [where, address] of everywhere)
      expect({ address, said: await ask(where, "udp", address, 5355) }).toEqual({ address, said: "dns" })
  }
  await served(["-p", "5355:53/udp"], asked)
  await besideDrops("iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT", async () => {
    await served(["-p", "5355:53/udp"], asked)
    await served(["-p", "172.17.5.9:5356:53/udp"], async () => {
      expect(await ask(outside, "udp", "172.17.5.9", 5356)).toBe("dns")
    })
  })
  await sh(host, "ip address del 172.17.5.9/24 dev out; ip address del fd00:99::9/64 dev out")
}, 120_000)

test("a network's first container tells what keeps containers from the outside", async () => {
  await besideDrops("iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT; iptables -F FORWARD", async () => {
    await run("network", "create", "fenced")
    const words = machine.toybox("run", "--rm", "--net", "fenced", "base", "true").map((word) => `'${word}'`)
    const said = await sh(host, `${words.join(" ")} 2>&1`)
    expect(said).toContain("(iptables) drops what is forwarded: containers do not reach the outside before")
    const rules = said.split("\n").filter((line) => line.includes("iptables -I"))
    expect(rules).toHaveLength(2)
    const reach = () =>
      run("run", "--rm", "--cap-add", "NET_RAW", "--net", "fenced", "base", "ping", "-c", "1", "-W", "2", "172.17.5.2")
    expect(reach()).rejects.toThrow()
    await sh(host, rules.join("\n"))
    expect(await reach()).toContain("1 packets received")
    expect(await sh(host, `${words.join(" ")} 2>&1`)).toBe("")
    await run("network", "rm", "fenced")
  })
}, 120_000)

test("--explain has the lines of nft, and what there is no network for is told", async () => {
  const text = await run("run", "--explain", "--rm", "-p", "8120:80", "base", "true")
  expect(text).toMatch(/nft add element inet toybox ports4 '\{ tcp \. 8120 comment "\w+" : 172\.18\.0\.2 \. 80 \}'/)
  for (const [network, why] of [
    ["none", "has no network"],
    ["host", "all of its ports are the machine's"],
  ])
    expect(await machine.told("run", "--rm", `--net=${network}`, "-p", "80:80", "base", "true")).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(new RegExp(`-p is left out: .*${why}`)),
    })
  const words = ["run", "--rm", `--net=ns:/proc/${outside.pid}/ns/net`, "-p", "80:80", "base", "true"]
  expect(run(...words)).rejects.toThrow("-p needs a network of its own")
}, 60_000)
