/** What the links of containers report of their own groups wakes no other container; what routers of multicast live by goes on. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

const GROUPS = ["ff05::1234", "ff02::1:ff00:9999"] as const

// Each report of MLD (RFC 3810, section 5.2) that comes, as the groups of its records, up to the one of the first of GROUPS.
const LISTEN = `import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
s.bind(("eth0", 0))
print("ready", flush=True)
while True:
  data, (link, proto, kind, *_) = s.recvfrom(2000)
  if kind == 4 or data[20] != 0 or data[54] != 58 or data[62] != 143: continue
  at, groups = 70, []
  for _ in range(struct.unpack("!H", data[68:70])[0]):
    groups.append(socket.inet_ntop(socket.AF_INET6, data[at + 4:at + 20]))
    at += 20 + 16 * struct.unpack("!H", data[at + 2:at + 4])[0] + 4 * data[at + 1]
  print(" ".join(groups), flush=True)
  if "${GROUPS[0]}" in groups: break`
const JOIN = `import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for group in ${JSON.stringify([...GROUPS].reverse())}:
  s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", socket.if_nametoindex("eth0")))`

let machine: Machine
const run = (...words: string[]) => machine.run(...words)
const pidOf = async (name: string) => JSON.parse(await run("inspect", name))[0].State.Pid as number
const within = (pid: number, text: string) =>
  machine.host.within("nsenter", "--net", "--target", String(pid), "timeout", "-k", "1", "20", "python3", "-c", text)

beforeAll(async () => {
  machine = await makeMachine()
  await run("run", "-d", "--name=first", "base", "sleep", "1000")
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

/** The reports of nothing but a link's own groups (the bridge has others) that come to the first container while another starts. */
async function reports(): Promise<string[]> {
  const listener = Bun.spawn(within(await pidOf("first"), LISTEN), { stdin: "ignore" })
  const lines: string[] = []
  const reading = (async () => {
    for await (const part of listener.stdout.pipeThrough(new TextDecoderStream()))
      lines.push(...part.split("\n").filter(Boolean))
  })()
  while (!lines.includes("ready")) await Bun.sleep(10)
  await run("run", "-d", "--name=second", "base", "sleep", "1000")
  // The last of the four comes within a second.
  await Bun.sleep(1500)
  const joining = Bun.spawn(within(await pidOf("second"), JOIN), { stdin: "ignore" })
  expect(await joining.exited).toBe(0)
  await reading
  expect(await listener.exited).toBe(0)
  await run("rm", "-f", "second")
  return lines.slice(1).filter((groups) => groups.split(" ").every((group) => group.startsWith("ff02::1:ff")))
}

test("reports of a link's own groups end at the bridge, those of other groups do not", async () => {
  expect(await reports()).toEqual([])
}, 60_000)

test("without the rules that hold them they come, and with the next start they are held again", async () => {
  await machine.sh("nft delete table bridge toybox-mld; nft 'add table bridge toybox-mld { chain theirs { }; }'")
  expect(await reports()).not.toEqual([])
  // Somebody else's of that name is left alone.
  expect(await machine.sh("nft list table bridge toybox-mld")).toContain("chain theirs")
  await machine.sh("nft delete table bridge toybox-mld")
  await run("run", "--rm", "base", "true")
  expect(await reports()).toEqual([])
}, 60_000)

test("links have one queue, and a group that rules can tell them by; with the last network nothing of the rules is left", async () => {
  const links = (await machine.json("-d link show group 29794")).filter(({ ifname }) => ifname !== undefined)
  expect(links).toMatchObject([{ ifname: expect.stringMatching(/^veth/), num_tx_queues: 1, num_rx_queues: 1 }])
  await run("rm", "-f", "--all")
  await run("network", "prune")
  expect(await machine.sh("nft list ruleset")).toBe("")
}, 60_000)
