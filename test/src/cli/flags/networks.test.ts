import { describe, expect, test } from "bun:test"
import { networkMode } from "../../../../src/cli/flags/networks.ts"
import { run } from "../parse.ts"

const container = { id: "ab".repeat(32), pid: 77 }
const mode = (...words: string[]) =>
  networkMode(run(...words), (reference) => {
    if (reference !== "web") throw new Error(`no such container: ${reference}`)
    return container
  })

const place = (network: string) => ({ network, ip: null, ip6: null, mac: null, aliases: [] })

describe("--net", () => {
  test("namespaces", () => {
    expect(mode("--net", "none")).toEqual({ mode: { mode: "private" }, networks: [] })
    expect(mode("--network=host")).toEqual({ mode: { mode: "host" }, networks: [] })
    expect(mode("--net", "container:web")).toEqual({ mode: { mode: "container", ...container }, networks: [] })
    expect(mode("--net", "ns:/proc/self/ns/net")).toEqual({
      mode: { mode: "path", path: "/proc/self/ns/net" },
      networks: [],
    })
  })

  test("networks, several of them", () => {
    expect(mode("--net", "blue", "--net", "default")).toEqual({
      mode: { mode: "private" },
      networks: [place("blue"), place("bridge")],
    })
  })

  test("addresses and names in one", () => {
    const words = ["--net=blue", "--ip", "10.1.2.3", "--ip6=fd00::9", "--mac", "02-42-0A-01-02-03", "--net-alias", "db"]
    expect(mode(...words).networks).toEqual([
      { network: "blue", ip: "10.1.2.3", ip6: "fd00::9", mac: "02:42:0a:01:02:03", aliases: ["db"] },
    ])
  })

  test("addresses and names of each, in docker's long form", () => {
    const words = [
      "--net",
      "name=blue,ip=10.1.2.3,alias=db,alias=store",
      "--net=name=red,mac-address=02:42:0A:01:02:03",
    ]
    expect(mode(...words, "--net=bridge", "--net-alias=all").networks).toEqual([
      { ...place("blue"), ip: "10.1.2.3", aliases: ["all", "db", "store"] },
      { ...place("red"), mac: "02:42:0a:01:02:03", aliases: ["all"] },
      place("bridge"),
    ])
  })

  test.each([
    [["--net", "name=blue,speed=9"], '"speed=9" is not understood'],
    [["--net", "ip=10.0.0.1"], "has to have one name=NETWORK"],
    [["--net", "name=blue,ip=x"], '--net: ip: "x" is no IPv4 address'],
    [["--net", "name=bridge,alias=db"], "in the default network containers have no names"],
    [["--net", "bridge", "--net-alias", "db"], "in the default network containers have no names"],
    [["--net", "a", "--mac", "00:00:00:00:00:00"], "is no link's address"],
    [["--net", "container:other"], "no such container: other"],
    [["--net", "ns:/nowhere"], "there is no network namespace"],
    [["--net", "ns:relative"], "there is no network namespace"],
    [["--net", "-x"], '"-x" is not known (use none, host, bridge'],
    [["--net", "host", "--net", "blue"], "host does not go with another network"],
    [["--net", "blue", "--net", "blue"], "blue is there twice"],
    [["--net", "none", "--ip", "10.0.0.1"], "--ip needs a network"],
    [["--net", "a", "--net", "b", "--ip", "10.0.0.1"], "--ip goes with one network"],
    [["--net", "a", "--ip", "fd00::1"], "is no IPv4 address"],
    [["--net", "a", "--ip6", "10.0.0.1"], "is no IPv6 address"],
    [["--net", "a", "--mac", "1:2:3"], "is no MAC address"],
    [["--net", "a", "--mac", "01:42:0a:01:02:03"], "the address of a group"],
    [["--net", "a", "--network-alias", "a b"], "is not a host name"],
  ])("refuses %j", (words, message) => {
    expect(() => mode(...words)).toThrow(message)
  })
})
