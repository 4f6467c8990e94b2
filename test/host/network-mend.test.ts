/** What somebody else removes of toybox's networks comes back; and what he adds is told. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

const PEER = [process.execPath, `${import.meta.dir}/firewall-peer.ts`]
let machine: Machine
const run = (...words: string[]) => machine.run(...words)
const sh = (script: string) => machine.sh(script)
const rules = () => sh("nft list table inet toybox")
const ask = async (milliseconds = "1500") =>
  (await machine.outside.run([...PEER, "ask", "tcp", "172.17.5.1", "8080", milliseconds])).trim()

beforeAll(async () => {
  machine = await makeMachine()
  await run("network", "create", "--internal", "dark")
  await run("run", "-d", "--name=inner", "--net=dark", "base", "sleep", "1000")
  await run("run", "-d", "--name=web", "-p", "8080:80", "base", "nc", "-ll", "-p", "80", "-e", "echo", "web")
  await run("exec", "web", "sh", "-c", "until nc -w 2 127.0.0.1 80; do sleep 0.1; done")
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

/** Without the order of elements, which is the kernel's. */
const sorted = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim().split(", ").sort().join(", "))
    .sort()

const WAYS: readonly (readonly [string, string, string?])[] = [
  ["the whole ruleset", "nft flush ruleset"],
  ["the table's rules", "nft flush table inet toybox"],
  ["one chain", "nft flush chain inet toybox forward"],
  [
    "what a network has",
    "nft flush set inet toybox internal; nft flush map inet toybox ports4; nft flush set inet toybox within",
  ],
  ["what only another has", "nft flush set inet toybox internal", "bridge"],
  [
    "a single element",
    "nft delete element inet toybox masquerade4 \"{ $(nft list set inet toybox masquerade4 | grep -o '[0-9.]*/[0-9]*' | head -1) }\"",
  ],
]

test.each(WAYS)(
  "%s that was flushed is there again with the next container",
  async (_, flush, network = "dark") => {
    const before = await rules()
    expect(await ask()).toBe("web")
    await sh(flush)
    expect((await machine.told("doctor")).stdout).toMatch(/LIMITED +networks +missing: .*\n.*\n.*toybox network reload/)
    // Of the network that lost them or another.
    await run("run", "--rm", `--net=${network}`, "base", "true")
    expect(sorted(await rules())).toEqual(sorted(before))
    expect(await ask()).toBe("web")
    expect((await machine.told("doctor")).stdout).toMatch(/ok +networks/)
  },
  60_000,
)

test("network reload brings it back, and addresses; what others have stays as it is", async () => {
  const before = await rules()
  const addresses = async () => sorted(await sh("ip -br address show type bridge"))
  const links = await addresses()
  await sh("nft add table ip theirs")
  await sh(
    "nft delete table inet toybox; for link in $(ip -br link show type bridge | cut -d ' ' -f 1); do ip address flush dev $link; done",
  )
  expect((await run("network", "reload")).trim().split("\n").sort()).toEqual(["bridge", "dark"])
  expect(sorted(await rules())).toEqual(sorted(before))
  expect((await addresses()).map((line) => line.replace(/ *fe80\S+ */, ""))).toEqual(
    links.map((line) => line.replace(/ *fe80\S+ */, "")),
  )
  expect(await sh("nft list tables")).toContain("table ip theirs")
  expect(await ask()).toBe("web")
  await sh("nft delete table ip theirs")
}, 60_000)

test("what keeps containers from others' addresses that was flushed comes back, of all that have it", async () => {
  const guards = () => sh("nft list table bridge toybox")
  await run("run", "-d", "--name=raw", "--cap-add=NET_RAW", "base", "sleep", "1000")
  await run("run", "--rm", "--net=container:web", "--cap-add=NET_ADMIN", "base", "true")
  const before = await guards()
  expect(before.match(/elements = { "veth\w+",\s+"veth\w+" }/g)).toHaveLength(1)
  await sh("nft flush ruleset")
  await run("run", "--rm", "base", "true")
  expect(sorted(await guards())).toEqual(sorted(before))
  const restarts = [
    ["run", "--rm", "base", "true"],
    ["network", "reload"],
  ]
  const flushes = ["nft delete table bridge toybox", "nft flush table bridge toybox"]
  for (const [flush, again] of flushes.flatMap((one) => restarts.map((other) => [one, other] as const))) {
    await sh(flush)
    expect((await machine.told("doctor")).stdout).toContain("missing: what keeps containers with NET_ADMIN")
    await run(...again)
    expect(sorted(await guards())).toEqual(sorted(before))
    expect((await machine.told("doctor")).stdout).toMatch(/ok +networks/)
  }
  await run("rm", "-f", "raw")
  expect((await guards()).match(/"veth\w+"(?! \.)/g)).toHaveLength(1)
}, 60_000)

test("ports alone that were flushed are told of, and come back", async () => {
  await sh("nft flush map inet toybox ports4")
  expect((await machine.told("doctor")).stdout).toContain("missing: published ports of the container web")
  await run("network", "reload")
  expect(await ask()).toBe("web")
  expect((await machine.told("doctor")).stdout).toMatch(/ok +networks/)
}, 60_000)

test("nothing is changed where nothing is missing", async () => {
  const generation = () => sh("nft monitor >/dev/null & nft -j list ruleset | sha256sum; kill $!")
  const before = await generation()
  await run("run", "--rm", "base", "true")
  await run("network", "reload")
  expect(await generation()).toBe(before)
}, 60_000)

test("a firewall that comes later is told of by the next container, once", async () => {
  const start = async () => (await machine.told("run", "--rm", "base", "true")).stderr
  expect(await start()).toBe("")
  await sh(
    "nft add table inet mine; nft 'add chain inet mine judge { type filter hook forward priority 0; policy drop; }'",
  )
  expect(await start()).toContain("(nft) drops what is forwarded: containers do not reach the outside before")
  expect(await start()).toBe("")
  await sh("nft add rule inet mine judge counter")
  expect(await start()).toBe("")
  await sh("nft delete table inet mine")
  expect(await start()).toBe("")
}, 60_000)
