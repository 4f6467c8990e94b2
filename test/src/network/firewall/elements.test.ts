import { describe, expect, test } from "bun:test"
import { decodeMessages, encodeMessages } from "../../../../ffi/netlink/messages.ts"
import { decodeElements } from "../../../../src/network/firewall/answers.ts"
import { type FirewallNetwork, networkEntries, portEntries } from "../../../../src/network/firewall/elements.ts"
import { addElements } from "../../../../src/network/firewall/requests.ts"
import { parseIp } from "../../../../src/network/ip.ts"
import { overlap } from "../../../../src/network/subnets.ts"
import { random } from "../../cgroup/random.ts"

const ip = (text: string) => parseIp(text) ?? new Uint8Array()
const network = (subnet: string, prefix: number): FirewallNetwork => ({
  bridge: "tb0",
  subnets: [{ ip: ip(subnet), prefix }],
  internal: false,
  masquerade: true,
  isolated: false,
})
const rangeOf = (subnet: string, prefix: number) =>
  networkEntries(network(subnet, prefix))
    .find(({ set }) => set.startsWith("own"))
    ?.elements.map(({ key }) => key)

describe("a network", () => {
  test.each([
    ["10.88.0.5", 24, ["10.88.0.0", "10.88.1.0"]],
    ["10.255.255.255", 8, ["10.0.0.0", "11.0.0.0"]],
    ["192.168.5.9", 30, ["192.168.5.8", "192.168.5.12"]],
    ["192.168.5.9", 32, ["192.168.5.9", "192.168.5.10"]],
    ["255.255.255.7", 24, ["255.255.255.0"]],
    ["fd00:88::7", 64, ["fd00:88::", "fd00:88:0:1::"]],
    ["fd00:88::7", 127, ["fd00:88::6", "fd00:88::8"]],
  ])("%s/%i is from its first address to before the next network", (subnet, prefix, ends) => {
    expect(rangeOf(subnet, prefix)).toEqual(ends.map(ip))
  })

  test.each([1, 2, 3])("has the addresses between, and no other (seed %i)", (seed) => {
    const r = random(seed)
    for (let i = 0; i < 500; i++) {
      const address = Uint8Array.from({ length: 4 }, () => r.int(0, 255))
      const prefix = r.int(1, 32)
      const [first, end] = rangeOf(address.join("."), prefix) ?? []
      const other = r.chance(0.5) ? Uint8Array.from({ length: 4 }, () => r.int(0, 255)) : address
      const inside = overlap({ ip: address, prefix }, { ip: other, prefix: 32 })
      const within = other.toHex() >= (first ?? other).toHex() && (end === undefined || other.toHex() < end.toHex())
      expect(within).toBe(inside)
    }
  })

  test("that is internal or isolated is masqueraded or let through no more", () => {
    const sets = (one: FirewallNetwork) => networkEntries(one).map(({ set }) => set)
    const plain = network("10.0.0.0", 8)
    expect(sets(plain)).toEqual(["bridges", "within", "own4", "masquerade4"])
    expect(sets({ ...plain, internal: true })).toEqual(["bridges", "internal", "within", "own4"])
    expect(sets({ ...plain, isolated: true })).toEqual(["bridges", "own4", "masquerade4"])
    expect(sets({ ...plain, masquerade: false })).toEqual(["bridges", "within", "own4"])
  })
})

describe("a published port", () => {
  const both = { ip: ip("10.88.0.2"), ip6: ip("fd00::2") }
  const tcp = (address: string | null) => ({
    protocol: "tcp" as const,
    address: address === null ? null : ip(address),
    host: 8080,
    container: 80,
  })
  const shown = (address: string | null, addresses: { ip: Uint8Array | null; ip6: Uint8Array | null } = both) =>
    portEntries("c1", [tcp(address)], addresses).map(
      ({ set, elements }) => `${set} ${elements.map(({ key, data }) => `${key.toHex()}:${data?.toHex()}`)}`,
    )

  test("is in the maps of the families that its address and the container have", () => {
    const [any4, any6] = [
      "ports4 060000001f900000:0a58000200500000",
      `ports6 060000001f900000:fd00${"0".repeat(26)}0200500000`,
    ]
    expect(shown(null)).toEqual([any4, any6])
    expect(shown("0.0.0.0")).toEqual([any4])
    expect(shown("::")).toEqual([any6])
    expect(shown(null, { ...both, ip6: null })).toEqual([any4])
    expect(shown("::", { ...both, ip6: null })).toEqual([])
    expect(shown("127.0.0.1")).toEqual(["bound4 7f000001060000001f900000:0a58000200500000"])
  })

  test("is read from an answer as it was sent", () => {
    const [entry] = portEntries("c1", [tcp(null)], both)
    const messages = addElements({ family: "inet", name: "toybox" }, "ports4", entry?.elements ?? [])
    const read = decodeElements(decodeMessages(encodeMessages(messages, 1)))
    expect(read).toEqual(
      (entry?.elements ?? []).map(({ key, data }) => ({
        ...{ key, data: data ?? null, comment: "c1", end: false, ranged: false },
        verdict: null,
      })),
    )
    expect(read).toHaveLength(1)
  })
})
