/** A firewall that drops what is forwarded, and comes or goes while containers with published ports run. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

const PEER = [process.execPath, `${import.meta.dir}/firewall-peer.ts`]
const [WITHIN, BRIEFLY] = ["20000", "1500"]
let machine: Machine
const run = (...words: string[]) => machine.run(...words)
const sh = (script: string) => machine.sh(script)
type Where = "host" | "outside"
const ask = async (where: Where, protocol: string, address: string, port: number, milliseconds = WITHIN) =>
  (await machine[where].run([...PEER, "ask", protocol, address, String(port), milliseconds])).trim()
const elements = (set: string) => sh(`nft list set inet toybox ${set} || nft list map inet toybox ${set}`)
const COMES =
  "nft add table ip mine; nft 'add chain ip mine judge { type filter hook forward priority 0; policy drop; }'"
const GOES = "nft delete table ip mine"

/** A server that answers with its name. */
const serving = (name: string) => ["base", "nc", "-ll", "-p", "80", "-e", "echo", name]

const WAYS: readonly (readonly [Where, string, number])[] = [
  ["outside", "172.17.5.1", 8080],
  ["host", "127.0.0.1", 8080],
  ["host", "127.0.0.1", 8081],
]
const reached = async () => {
  for (const [where, address, port] of WAYS)
    expect({ address, port, said: await ask(where, "tcp", address, port) }).toEqual({ address, port, said: "web" })
  expect(await ask("outside", "udp", "172.17.5.1", 5300)).toBe("dns")
}

let dns: Bun.Subprocess

beforeAll(async () => {
  machine = await makeMachine()
  await run("network", "create", "--internal", "dark")
  const ports = ["-p", "8080:80", "-p", "127.0.0.1:8081:80", "-p", "5300:53/udp", "-p", "9000:9000/sctp"]
  await run("run", "-d", "--name=web", ...ports, ...serving("web"))
  await run("exec", "web", "sh", "-c", "until nc -w 2 127.0.0.1 80; do sleep 0.1; done")
  const { Pid } = JSON.parse(await run("inspect", "web"))[0].State
  dns = Bun.spawn(["nsenter", "--net", "--target", String(Pid), ...PEER, "serve", "53", "dns"], {
    stdin: "ignore",
    stdout: "ignore",
  })
}, 60_000)

afterAll(async () => {
  dns?.kill("SIGKILL")
  await machine?.close()
})
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

const AGAIN: readonly (readonly [string, readonly string[]])[] = [
  ["network reload", ["network", "reload"]],
  ["the next container", ["run", "--rm", "base", "true"]],
]

test.each(AGAIN)(
  "ports of those that run go round it with %s, and by the kernel again when it is gone",
  async (_, again) => {
    await reached()
    const before = await elements("ports4")
    await sh(COMES)
    expect(await ask("outside", "tcp", "172.17.5.1", 8080, BRIEFLY)).toBe("")
    const told = (await machine.told("doctor")).stdout
    expect(told).toMatch(
      /LIMITED +networks +missing: published ports of the container web\n.*\n.*toybox network reload/,
    )
    const { code, stderr } = await machine.told(...again)
    expect(code).toBe(0)
    expect(stderr).toMatch(/\(nft\) drops what is forwarded to tb-\w+: published ports of web go through a process/)
    expect(stderr).toContain("port 9000/sctp is not reached")
    await reached()
    expect((await machine.told("doctor")).stdout).toMatch(/ok +networks/)
    expect(await elements("ports4")).not.toContain("tcp")
    expect(await elements("forwarded")).toContain("tcp . 8081")
    const [{ IPAM }] = JSON.parse(await run("network", "inspect", "dark"))
    const nc = `nc -w 2 ${IPAM.Config[0].Gateway} 8080 || echo none`
    expect(await run("run", "--rm", "--net=dark", "base", "sh", "-c", nc)).toBe("none\n")

    await sh(GOES)
    expect((await machine.told("doctor")).stdout).toMatch(/LIMITED +networks +missing: published ports of the/)
    expect((await machine.told(...again)).stderr).toBe("")
    await reached()
    expect((await machine.told("doctor")).stdout).toMatch(/ok +networks/)
    expect(
      (await elements("ports4"))
        .split(/[{},]/)
        .map((part) => part.trim())
        .sort(),
    ).toEqual(
      before
        .split(/[{},]/)
        .map((part) => part.trim())
        .sort(),
    )
    expect(await elements("forwarded")).not.toContain("8081")
  },
  120_000,
)

test("one that goes round it since then leaves nothing at its end; the next start leads it as is best then", async () => {
  await run("run", "-d", "--name=brief", "-p", "127.0.0.1:8090:80", ...serving("brief"))
  await sh(COMES)
  await run("network", "reload")
  expect(await ask("host", "tcp", "127.0.0.1", 8090)).toBe("brief")
  await run("stop", "-t", "0", "brief")
  expect(await elements("forwarded")).not.toContain("8090")
  await sh(GOES)
  await run("start", "brief")
  expect(await ask("host", "tcp", "127.0.0.1", 8090)).toBe("brief")
  expect(await elements("bound4")).toContain("8090")
  expect(await elements("forwarded")).not.toContain("8090")
  await run("rm", "-f", "brief")
  await run("network", "reload")
}, 60_000)

test("so does one of the foreground", async () => {
  const words = machine.toybox("run", "--rm", "--name=front", "-p", "8091:80", ...serving("front"))
  const front = Bun.spawn(machine.host.within(...words), { stdin: "ignore", stdout: "ignore", stderr: "ignore" })
  for (let i = 0; i < 100 && (await ask("outside", "tcp", "172.17.5.1", 8091, BRIEFLY)) === ""; i++) await Bun.sleep(50)
  await sh(COMES)
  await run("network", "reload")
  expect(await ask("outside", "tcp", "172.17.5.1", 8091)).toBe("front")
  await sh(GOES)
  await run("network", "reload")
  expect(await ask("outside", "tcp", "172.17.5.1", 8091)).toBe("front")
  await run("rm", "-f", "front")
  await front.exited
  expect(await elements("forwarded")).not.toContain("8091")
}, 60_000)

test("what a killed toybox has half done is done by the next", async () => {
  await sh(COMES)
  // As after the rules, and before it is written down.
  await sh("nft flush map inet toybox ports4; nft flush map inet toybox bound4")
  await run("network", "reload")
  await reached()
  await sh(GOES)
  await run("network", "reload")
  await reached()
}, 60_000)

test("of those that end meanwhile nothing comes back", async () => {
  let ended = 0
  const comeAndGo = async (number: number) => {
    const [name, ports] = [`brief${number}`, ["-p", `127.0.0.1:${8200 + number}:80`, "-p", `${8300 + number}:81/udp`]]
    for (let i = 0; i < 6; i++) {
      await run("run", "-dq", "--name", name, ...ports, "base", "sleep", "1000")
      await Bun.sleep(Math.random() * 300)
      await run("rm", "-f", name)
    }
    ended++
  }
  const all = [1, 2, 3].map(comeAndGo)
  const reload = () => Promise.all([1, 2].map(() => machine.told("network", "reload")))
  while (ended < all.length) {
    await sh(COMES)
    await reload()
    await sh(`${GOES}; nft flush map inet toybox ports4; nft flush map inet toybox bound4`)
    await reload()
  }
  await Promise.all(all)
  for (const set of ["forwarded", "ports4", "bound4"]) expect(await elements(set)).not.toMatch(/8[23]0\d/)
  await reached()
}, 120_000)
