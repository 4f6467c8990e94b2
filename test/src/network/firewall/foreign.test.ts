import { describe, expect, test } from "bun:test"
import { type ForwardDrop, missingRules, toolOf } from "../../../../src/network/firewall/foreign.ts"

const drop = (tool: ForwardDrop["tool"], other: Partial<ForwardDrop> = {}): ForwardDrop => ({
  ...{ tool, family: "ip", table: "filter", chain: "FORWARD" },
  ...other,
})

describe("a firewall that drops what is forwarded", () => {
  test.each<[string, Parameters<typeof toolOf>, string]>([
    ["iptables'", [{ family: "ip", table: "filter", name: "FORWARD" }, []], "iptables"],
    ["docker's", [{ family: "ip", table: "filter", name: "FORWARD" }, ["DOCKER-USER"]], "docker"],
    ["ufw's", [{ family: "ip", table: "filter", name: "FORWARD" }, ["ufw-user-forward"]], "ufw"],
    ["ufw's for IPv6", [{ family: "ip6", table: "filter", name: "FORWARD" }, ["ufw6-user-forward"]], "ufw"],
    ["firewalld's", [{ family: "inet", table: "firewalld", name: "filter_FORWARD" }, []], "firewalld"],
    ["somebody's", [{ family: "inet", table: "filter", name: "FORWARD" }, ["DOCKER-USER"]], "nft"],
  ])("%s is known", (_, args, tool) => {
    expect(toolOf(...args)).toBe(tool as ForwardDrop["tool"])
  })

  const nothing = { out: null, back: null, within: null }
  const mine = drop("nft", { family: "inet", table: "mine", chain: "fwd" })
  test.each<[string, Parameters<typeof missingRules>[0], string[]]>([
    ["nothing", nothing, []],
    ["iptables", { ...nothing, out: drop("iptables") }, ["iptables -I FORWARD -i br0 -j ACCEPT"]],
    [
      "ip6tables",
      { ...nothing, back: drop("iptables", { family: "ip6" }) },
      ["ip6tables -I FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"],
    ],
    ["docker", { ...nothing, out: drop("docker") }, ["iptables -I DOCKER-USER -i br0 -j ACCEPT"]],
    ["ufw", { ...nothing, out: drop("ufw"), within: drop("ufw") }, ["ufw route allow in on br0"]],
    [
      "firewalld",
      { out: drop("firewalld"), back: drop("firewalld"), within: null },
      ["firewall-cmd --permanent --zone=trusted --add-interface=br0", "firewall-cmd --reload"],
    ],
    [
      "nft",
      { out: mine, back: mine, within: mine },
      [
        "nft insert rule inet mine fwd iifname br0 accept",
        "nft insert rule inet mine fwd oifname br0 ct state established,related accept",
      ],
    ],
    ["within alone", { ...nothing, within: drop("iptables") }, ["iptables -I FORWARD -i br0 -o br0 -j ACCEPT"]],
  ])("what it lacks: %s", (_, dropped, rules) => {
    expect(missingRules(dropped, "br0")).toEqual(rules)
  })
})
