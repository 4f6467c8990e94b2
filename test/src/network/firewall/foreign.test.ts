import { describe, expect, test } from "bun:test"
import { type ForeignChain, forwardDrops, missingRules } from "../../../../src/network/firewall/foreign.ts"

const chain = (name: string, other: Partial<ForeignChain> = {}): ForeignChain => ({
  family: "ip",
  table: "filter",
  name,
  hook: null,
  drops: false,
  ...other,
})
const FORWARD = 2
const forward = (other: Partial<ForeignChain> = {}) => chain("FORWARD", { hook: FORWARD, drops: true, ...other })

describe("a firewall that drops what is forwarded", () => {
  test.each<[string, ForeignChain[], string[]]>([
    ["nobody's", [], []],
    ["one that accepts", [forward({ drops: false })], []],
    ["one that drops what comes in", [chain("INPUT", { hook: 1, drops: true })], []],
    ["iptables'", [forward()], ["iptables -I FORWARD -i br0 -j ACCEPT"]],
    ["iptables' for IPv6", [forward({ family: "ip6" })], ["ip6tables -I FORWARD -i br0 -j ACCEPT"]],
    ["docker's", [forward(), chain("DOCKER-USER")], ["iptables -I DOCKER-USER -i br0 -j ACCEPT"]],
    ["ufw's", [forward(), chain("ufw-user-forward")], ["ufw route allow in on br0"]],
    [
      "firewalld's, whose policy is to accept",
      [chain("filter_FORWARD", { family: "inet", table: "firewalld", hook: FORWARD })],
      ["firewall-cmd --permanent --zone=trusted --add-interface=br0"],
    ],
    [
      "somebody's",
      [chain("fwd", { family: "inet", table: "mine", hook: FORWARD, drops: true })],
      ["nft insert rule inet mine fwd iifname br0 accept"],
    ],
    [
      "of another family's",
      [forward(), chain("DOCKER-USER", { family: "ip6" })],
      ["iptables -I FORWARD -i br0 -j ACCEPT"],
    ],
  ])("%s is found, and what it lacks", (_, chains, first) => {
    expect(forwardDrops(chains).map((drop) => missingRules(drop, "br0")[0] as string)).toEqual(first)
  })
})
