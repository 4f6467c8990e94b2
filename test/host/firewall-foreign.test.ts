/** What other people's firewalls do to a network, found from their rules as their own programs have entered them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

let machine: Machine
const sh = (script: string) => machine.sh(script)

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

type Found = { tool: string; chain: string } | null
interface Told {
  outside: Found
  ports: Found
  within: Found
  rules: string[]
}

const look = async (six = ""): Promise<Told> =>
  JSON.parse(
    await machine.host.run([process.execPath, `${import.meta.dir}/foreign-child.ts`, "tbblue", "10.88.0.0/24", six]),
  )
/** Who drops what, in few words. */
const words = ({ outside, ports, within }: Told) =>
  [outside && "out", ports && "ports", within && "within"].filter(Boolean).join(" ")

const NFT = "nft add table inet mine; nft 'add chain inet mine judge { type filter hook forward priority 0; }'"
const rule = (text: string) => `nft 'add rule inet mine judge ${text}'`
const CLEAN = "nft flush ruleset"

/** By name: rules, and who of those is dropped: what goes out, what comes to ports, what goes between containers. */
const NFT_RULES: readonly (readonly [string, readonly string[], string])[] = [
  ["no rule", [], ""],
  ["a last rule that drops", ['iifname "eth9" accept', "drop"], "out ports within"],
  [
    "a last rule that rejects",
    ["ct state established,related accept", "reject with icmpx admin-prohibited"],
    "out ports within",
  ],
  ["what is open to the outside", ['iifname "tbblue" accept', "ct state established accept", "drop"], "ports"],
  ["what is open to all", ['iifname "tbblue" accept', 'oifname "tbblue" accept', "drop"], ""],
  [
    "open only to answers",
    ['iifname "tbblue" accept', "ct state vmap { established : accept, related : accept, invalid : drop }", "drop"],
    "ports",
  ],
  ["by a jump", ["jump judged", "drop"], ""],
  ["by a set of links", ['iifname { "tbred", "tbblue" } accept', "ct state established accept", "drop"], "ports"],
  ["by a map of links", ['iifname vmap { "tbblue" : jump judged, "tbred" : drop }', "drop"], "out ports"],
  [
    "by a map that has something for all others",
    ["ct state established accept", 'iifname vmap { "tbblue" : accept, * : drop }'],
    "ports",
  ],
  ["by a map that has something for all others alone", ['iifname vmap { "eth9" : drop, * : accept }', "drop"], ""],
  [
    "by a map of ranges that has something for all others",
    ["ct state established accept", "ip saddr vmap { 10.88.0.0/24 : accept, * : drop }", "drop"],
    "ports",
  ],
  ["by a wildcard", ['iifname "tb*" accept', 'oifname "tb*" accept', "drop"], ""],
  ["by addresses", ["ip saddr 10.88.0.0/16 accept", "ip daddr 10.88.0.0/24 accept", "drop"], ""],
  [
    "by a range of addresses",
    ["ip saddr { 10.87.0.0-10.88.255.255 } accept", "ct state established accept", "drop"],
    "ports",
  ],
  ["by other addresses", ["ip saddr 10.89.0.0/16 accept", "drop"], "out ports within"],
  [
    "what NAT leads is let in",
    ['iifname "tbblue" accept', "ct state established accept", "ct status dnat accept", "drop"],
    "",
  ],
  [
    "what is not known is nobody's",
    ["meta mark 7 drop", "limit rate 5/second accept", "ip saddr 10.88.0.2 tcp dport 22 drop"],
    "",
  ],
  ["of another family", ["meta nfproto ipv6 drop"], ""],
  ["by protocol", ["meta l4proto tcp drop"], "out ports within"],
  ["of another protocol", ["meta l4proto udp drop", "ip protocol icmp drop"], ""],
  ["by number of the link", ["meta iif 7 drop"], "out ports within"],
  ["by what it is not", ['iifname != "out" oifname != "out" drop'], "within"],
]

describe("rules of nft", () => {
  test.each(NFT_RULES)(
    "%s",
    async (_, rules, expected) => {
      await sh(`echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables || true
      ${NFT}; nft add chain inet mine judged; ${rule('iifname "tbblue" accept').replace(" judge ", " judged ")}
      ${rule('oifname "tbblue" accept').replace(" judge ", " judged ")}
      ${rules.map(rule).join("\n")}`)
      const told = await look()
      await sh(CLEAN)
      expect(words(told)).toBe(expected)
    },
    30_000,
  )

  test("IPv6 is judged by itself", async () => {
    await sh(`${NFT}; ${rule("meta nfproto ipv6 drop")}`)
    const [four, both] = [await look(), await look("fd00:88::/64")]
    await sh(CLEAN)
    expect([four.outside, both.outside?.chain]).toEqual([null, "judge"])
  }, 30_000)

  test("of several chains each has a word; one earlier cannot let through what a later one drops", async () => {
    await sh(`${NFT}; ${rule("accept")}
      nft 'add chain inet mine later { type filter hook forward priority 10; policy drop; }'`)
    const told = await look()
    await sh(CLEAN)
    expect(told.outside).toMatchObject({ tool: "nft", chain: "later" })
  }, 30_000)
})

/** What is asked of sets of 100,000 elements, what there is more of each than an address, and one that means the network. */
const LARGE: readonly (readonly [string, string, string, string, string])[] = [
  ["addresses", "set", "type ipv4_addr", "", "10.88.0.2"],
  ["ranges", "set", "type ipv4_addr; flags interval", "/31", "10.88.0.0/24"],
  ["two parts", "set", "type ipv4_addr . inet_proto", " . tcp", "10.88.0.2 . tcp"],
  ["what has something for all others", "map", "type ipv4_addr : verdict", " : continue", "* : drop"],
]

test.each(LARGE)(
  "a large set, of %s, says what a small one says, as soon",
  async (_, kind, type, more, own) => {
    const asked = type.includes(" . ") ? "ip saddr . ip protocol" : "ip saddr"
    const others = Array.from({ length: 100_000 }, (_unused, i) => `44.${i >> 15}.${(i >> 7) & 255}.${(i & 127) * 2}`)
    const fill = (some: readonly string[]) =>
      machine.host.run(
        ["nft", "-f", "-"],
        `flush ${kind} inet mine large; add element inet mine large { ${some.join(", ")} }\n`,
      )
    const looked = async () => {
      const start = performance.now()
      return { found: words(await look()), took: performance.now() - start }
    }
    await sh(`${NFT}; nft 'add ${kind} inet mine large { ${type}; }'
      ${rule(kind === "map" ? `${asked} vmap @large` : `${asked} @large drop`)}`)
    await fill([own])
    const small = await looked()
    const large = others.map((address) => `${address}${more}`)
    await fill(large)
    expect((await looked()).found).toBe("")
    await fill([...large, own])
    const looks = [await looked(), await looked(), await looked()]
    await sh(CLEAN)
    expect(small.found).toStartWith("out ports")
    for (const { found } of looks) expect(found).toBe(small.found)
    // Of several, for what else the machine does.
    expect(Math.min(...looks.map(({ took }) => took))).toBeLessThan(2 * small.took + 250)
  },
  60_000,
)

const IPTABLES: readonly (readonly [string, readonly string[], string, string])[] = [
  ["a policy", ["-P FORWARD DROP"], "out ports within", "iptables"],
  [
    "a last rule that rejects",
    ["-A FORWARD -j REJECT --reject-with icmp-host-prohibited"],
    "out ports within",
    "iptables",
  ],
  ["a last rule that drops", ["-A FORWARD -i lo -j ACCEPT", "-A FORWARD -j DROP"], "out ports within", "iptables"],
  [
    "ours, and a policy",
    [
      "-P FORWARD DROP",
      "-A FORWARD -i tbblue -j ACCEPT",
      "-A FORWARD -o tbblue -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ],
    "ports",
    "iptables",
  ],
  ["all ways", ["-P FORWARD DROP", "-A FORWARD -i tbblue -j ACCEPT", "-A FORWARD -o tb+ -j ACCEPT"], "", ""],
  [
    "docker's",
    [
      "-N DOCKER-USER",
      "-A FORWARD -j DOCKER-USER",
      "-A DOCKER-USER -j RETURN",
      "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      "-P FORWARD DROP",
    ],
    "out ports within",
    "docker",
  ],
  [
    "by a user's chain",
    ["-N OWN", "-A OWN -s 10.88.0.0/24 -m comment --comment x -j ACCEPT", "-A FORWARD -g OWN", "-P FORWARD DROP"],
    "out ports",
    "iptables",
  ],
  [
    "what is not known is nobody's",
    ["-A FORWARD -m limit --limit 1/s -j DROP", "-A FORWARD -p udp -j DROP", "-A FORWARD -p tcp --dport 22 -j DROP"],
    "",
    "",
  ],
  ["by what it is not", ["-A FORWARD ! -i out ! -o out -j DROP"], "within", "iptables"],
  [
    "by state, as it was",
    ["-P FORWARD DROP", "-A FORWARD -m state --state ESTABLISHED -j ACCEPT"],
    "out ports within",
    "iptables",
  ],
]

describe.each(["iptables-nft", "iptables-legacy"])("rules of %s", (program) => {
  test.each(IPTABLES)(
    "%s",
    async (_, rules, expected, tool) => {
      await sh(rules.map((one) => `${program} ${one}`).join("\n"))
      const told = await look()
      await sh(`${program} -P FORWARD ACCEPT; ${program} -F; ${program} -X; ${CLEAN}`)
      expect(words(told)).toBe(expected)
      if (expected !== "") expect((told.outside ?? told.ports ?? told.within)?.tool).toBe(tool)
    },
    30_000,
  )
})

test("what is told is what is missing: entered, it is enough", async () => {
  await sh("iptables -A FORWARD -j REJECT; ip6tables -A FORWARD -j DROP")
  const before = await look("fd00:88::/64")
  await sh(before.rules.join("\n"))
  const after = await look("fd00:88::/64")
  await sh("iptables -F FORWARD; ip6tables -F FORWARD")
  expect(before.rules).toHaveLength(4)
  expect({ outside: after.outside, within: after.within, rules: after.rules }).toEqual({
    outside: null,
    within: null,
    rules: [],
  })
}, 30_000)
