import { describe, expect, test } from "bun:test"
import { type NameOptions, nameOptions, withHosts, withResolver } from "../../../src/network/names.ts"

const read = (lists: Record<string, string[]>) => nameOptions(new Map(Object.entries(lists)))
const NONE: NameOptions = { dns: [], dnsSearch: [], dnsOptions: [], hosts: [] }

test("none of the options: nothing is to be changed", () => {
  expect(read({ env: ["a=b"] })).toBeNull()
})

test("they are read", () => {
  expect(
    read({
      dns: ["192.0.2.1", "2001:DB8::1"],
      "dns-search": ["example.org", "_tcp.example"],
      "dns-opt": ["ndots:2", "use-vc"],
      "add-host": ["db:192.0.2.9", "six:2001:db8::9", "seven=[2001:db8::7]", "host:host-gateway"],
    }),
  ).toEqual({
    dns: ["192.0.2.1", "2001:db8::1"],
    dnsSearch: ["example.org", "_tcp.example"],
    dnsOptions: ["ndots:2", "use-vc"],
    hosts: [
      { name: "db", address: "192.0.2.9" },
      { name: "six", address: "2001:db8::9" },
      { name: "seven", address: "2001:db8::7" },
      { name: "host", address: "host-gateway" },
    ],
  })
})

test.each<[Record<string, string[]>, string]>([
  [{ dns: ["dns.example"] }, '--dns: "dns.example" is no IP address'],
  [{ "dns-search": ["a b"] }, '--dns-search: "a b" is not the name of a host or domain'],
  [{ "dns-search": ["a\nnameserver 6.6.6.6"] }, "is not the name of a host or domain"],
  [{ "dns-opt": ["ndots:2\nnameserver"] }, "is no option of resolv.conf"],
  [{ "add-host": ["db"] }, '--add-host: "db" gives no address'],
  [{ "add-host": ["db:"] }, '--add-host: "db:" gives no address'],
  [{ "add-host": ["db:300.1.1.1"] }, '--add-host: "300.1.1.1" is no IP address (or host-gateway)'],
  [{ "add-host": [":1.1.1.1"] }, '--add-host: "" is not the name'],
  [{ "add-host": ["a b:1.1.1.1"] }, '"a b" is not the name'],
])("refused: %p", (lists, message) => {
  expect(() => read(lists)).toThrow(message)
})

describe("resolv.conf", () => {
  const HOST = "search corp.example\nnameserver 192.0.2.7\noptions edns0\n"

  test.each<[string, Partial<NameOptions>, string]>([
    ["a server", { dns: ["1.1.1.1"] }, "search corp.example\noptions edns0\nnameserver 1.1.1.1\n"],
    ["domains", { dnsSearch: ["a", "b"] }, "nameserver 192.0.2.7\noptions edns0\nsearch a b\n"],
    ["no domain", { dnsSearch: ["."] }, "nameserver 192.0.2.7\noptions edns0\n"],
    [
      "options",
      { dnsOptions: ["ndots:0", "rotate"] },
      "search corp.example\nnameserver 192.0.2.7\noptions ndots:0 rotate\n",
    ],
    ["only hosts", { hosts: [{ name: "a", address: "1.1.1.1" }] }, HOST],
  ])("%s", (_, options, expected) => {
    expect(withResolver(HOST, { ...NONE, ...options })).toBe(expected)
  })

  test("an old domain line goes with the search", () => {
    expect(withResolver("domain old.example\n", { ...NONE, dnsSearch: ["new.example"] })).toBe("search new.example\n")
  })
})

describe("hosts", () => {
  const options = {
    ...NONE,
    hosts: [
      { name: "db", address: "192.0.2.9" },
      { name: "up", address: "host-gateway" },
    ],
  }

  test("names are added, also after a line that is not ended", () => {
    expect(withHosts("127.0.0.1\tlocalhost", options, "192.0.2.1")).toBe(
      "127.0.0.1\tlocalhost\n192.0.2.9\tdb\n192.0.2.1\tup\n",
    )
  })

  test("without a way to the host its address is refused, and told which", () => {
    expect(() => withHosts("", options, null)).toThrow("--add-host: up: from a container without a network")
  })
})
