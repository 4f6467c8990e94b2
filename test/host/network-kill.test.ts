/** kill -9 at every system call by which networks change, and removals that others come in between of. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot } from "../helpers/toybox.ts"

const STRACE = Bun.which("strace")
// What changes files and the kernel's networks; strace does not follow the container.
const CALLS = ["sendto", "symlinkat", "renameat", "unlinkat", "setns"]
// One time these, another time the others: all of them take a minute.
const PHASE = Number(process.env.TOYBOX_KILL_PHASE ?? Math.floor(Math.random() * 2))
// Messages that only ask: killed there, it is as killed at the change that follows.
const QUERY = /nlmsg_type=(RTM|NFNL_SUBSYS_\w+<<8\|NFT_MSG|NFNL_SUBSYS_\w+<<8\|IPCTNL_MSG_CT)_?GET/

let machine: Machine
const run = (...words: string[]) => machine.run(...words)

beforeAll(async () => {
  machine = await makeMachine()
  // The base is laid out.
  await run("run", "--rm", "--net=none", "base", "true")
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

const traced = async (options: readonly string[], words: readonly string[]) => {
  const [timeout, toybox] = [machine.toybox().slice(0, 4), machine.toybox(...words).slice(4)]
  const child = Bun.spawn(machine.host.within(...timeout, STRACE ?? "", "-qq", ...options, ...toybox), {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  })
  return child.exited
}

/** Each call of a command line, with how it is killed there. */
async function* kills(words: readonly string[], before: () => Promise<void>): AsyncGenerator<string> {
  const log = join(temporaryDirectory("strace"), "log")
  await before()
  expect(await traced(["-o", log, "-e", `trace=${CALLS.join()}`], words)).toBe(0)
  yield "not killed"
  const made = readFileSync(log, "utf8").split("\n")
  for (const name of CALLS) {
    const calls = [...made.filter((line) => line.startsWith(`${name}(`)).entries()]
    for (const [i] of calls.filter(([, call]) => !QUERY.test(call)).filter((_, j) => j % 2 === PHASE)) {
      await before()
      const inject = `inject=${name}:signal=KILL:when=${i + 1}`
      await traced(["-o", "/dev/null", "-e", `trace=${name}`, "-e", inject], words)
      yield inject
    }
  }
}

/** Links, rules, and addresses in use. */
async function left() {
  // The kernel removes links in its own time after the last process of their network.
  await machine.sh("timeout 10 sh -c 'while grep -q veth /proc/net/dev; do sleep 0.01; done' || true")
  const links = (await machine.json("link show"))
    .map(({ ifname }) => ifname)
    .filter((name) => !["lo", "out"].includes(name))
  const rules = await machine.sh("nft list ruleset")
  const state = readdirSync(`${stateRoot()}/run/networks`).filter((name) => name !== "lock")
  return { links, rules, state, networks: readdirSync(`${stateRoot()}/networks`) }
}

const NOTHING = { links: [], rules: "", state: [], networks: [] }

describe.skipIf(STRACE === null)("toybox killed at each of its system calls", () => {
  test("of a run that makes a network's link: the network can be removed, and nothing is left", async () => {
    for await (const inject of kills(["run", "--rm", "--net=torn", "--cap-add=NET_RAW", "base", "true"], async () => {
      await run("network", "create", "torn")
    })) {
      // What the kernel removes by itself takes a moment.
      await run("ps")
      const tables = await machine.sh("nft list tables")
      expect({ inject, tables }).toEqual({ inject, tables: expect.not.stringContaining("bridge toybox\n") })
      await run("network", "rm", "torn")
      expect({ inject, ...(await left()) }).toEqual({ inject, ...NOTHING })
    }
  }, 600_000)

  test("of a removal: it is removed by the next", async () => {
    for await (const inject of kills(["network", "rm", "torn"], async () => {
      await run("network", "create", "torn")
      await run("run", "--rm", "--net=torn", "base", "true")
    })) {
      await run("network", "rm", "-f", "torn")
      expect({ inject, ...(await left()) }).toEqual({ inject, ...NOTHING })
    }
  }, 600_000)

  test("of connect and disconnect: the container can be connected, and taken out", async () => {
    await run("network", "create", "--subnet=10.60.0.0/24", "torn")
    await run("run", "-d", "--name=stays", "base", "sleep", "1000")
    const addresses = () =>
      readdirSync(`${stateRoot()}/run/networks`, { recursive: true }).filter((name) => /10\.60\./.test(String(name)))
    const inside = () => run("exec", "stays", "ip", "-o", "-4", "address")
    for (const words of [
      ["network", "connect", "torn", "stays"],
      ["network", "disconnect", "torn", "stays"],
    ]) {
      for await (const inject of kills(words, async () => {
        await machine.told("network", words[1] === "connect" ? "disconnect" : "connect", "torn", "stays")
      })) {
        const { stderr } = await machine.told("network", "connect", "torn", "stays")
        expect({ inject, stderr }).toEqual({ inject, stderr: expect.not.stringContaining("hint:") })
        expect(await inside()).toMatch(/10\.60\.0\.\d+\/24/)
        expect(addresses()).toHaveLength(1)
        await run("network", "disconnect", "torn", "stays")
        expect(await inside()).not.toContain("10.60.0.")
        expect({ inject, addresses: addresses() }).toEqual({ inject, addresses: [] })
        expect(
          (await machine.json("link show type veth")).filter(({ ifname }) => ifname.startsWith("veth")),
        ).toHaveLength(1)
      }
    }
    await run("rm", "-f", "stays")
    await run("network", "rm", "torn")
    await run("network", "prune")
  }, 600_000)
})

test("where connect fails in the container nothing of it is left", async () => {
  await run("network", "create", "torn")
  await run("run", "-d", "--name=full", "base", "sleep", "1000")
  const { Pid } = JSON.parse(await run("inspect", "full"))[0].State
  await machine.sh(`nsenter --net --target ${Pid} ip link add eth1 type bridge`)
  const links = async () =>
    (await machine.json("link show type veth")).map(({ ifname }) => ifname).filter((name) => name.startsWith("veth"))
  const before = await links()
  const { code } = await machine.told("network", "connect", "torn", "full")
  expect(code).toBe(1)
  let after = await links()
  // The kernel removes links in its own time.
  for (const end = Date.now() + 10_000; after.length > before.length && Date.now() < end; after = await links())
    await Bun.sleep(10)
  expect(after).toEqual(before)
  expect(Object.keys(JSON.parse(await run("inspect", "full"))[0].NetworkSettings.Networks)).toEqual(["bridge"])
  await run("rm", "-f", "full")
  await run("network", "rm", "torn")
  await run("network", "prune")
}, 60_000)

test("a network is removed, or has containers: never both, and never what nobody can remove", async () => {
  const [remove, start] = [
    machine.toybox("network", "rm", "torn"),
    machine.toybox("run", "--rm", "--net=torn", "base", "true"),
  ]
  const script = (words: string[]) => words.join(" ")
  for (let i = 0; i < 10; i++) {
    await run("network", "create", "torn")
    await machine.sh(
      `${script(start)} >/dev/null 2>&1 & ${script(start)} >/dev/null 2>&1 & sleep 0.0${i}; ${script(remove)} >/dev/null 2>&1 || true; wait`,
    )
    await run("network", "rm", "-f", "torn")
    expect({ i, ...(await left()) }).toEqual({ i, ...NOTHING })
  }
}, 120_000)
