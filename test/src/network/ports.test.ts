import { describe, expect, test } from "bun:test"
import {
  checkConflicts,
  formatMapping,
  type PortMapping,
  parseExposed,
  parsePublish,
  publishAll,
} from "../../../src/network/ports.ts"

const read = (text: string) => parsePublish("-p", text)
const one = (port: number) => ({ first: port, last: port })

describe("-p", () => {
  test.each<[string, PortMapping]>([
    ["80", { address: null, host: null, container: one(80), protocol: "tcp" }],
    ["8080:80", { address: null, host: one(8080), container: one(80), protocol: "tcp" }],
    [":80", { address: null, host: null, container: one(80), protocol: "tcp" }],
    ["53:53/udp", { address: null, host: one(53), container: one(53), protocol: "udp" }],
    ["53:53/UDP", { address: null, host: one(53), container: one(53), protocol: "udp" }],
    ["9:9/sctp", { address: null, host: one(9), container: one(9), protocol: "sctp" }],
    ["127.0.0.1:8080:80", { address: "127.0.0.1", host: one(8080), container: one(80), protocol: "tcp" }],
    ["127.0.0.1::80", { address: "127.0.0.1", host: null, container: one(80), protocol: "tcp" }],
    ["[::1]:8080:80", { address: "::1", host: one(8080), container: one(80), protocol: "tcp" }],
    ["[2001:DB8:0:0::1]::80", { address: "2001:db8::1", host: null, container: one(80), protocol: "tcp" }],
    ["[::1]:80", { address: "::1", host: null, container: one(80), protocol: "tcp" }],
    ["8000-8009:80", { address: null, host: { first: 8000, last: 8009 }, container: one(80), protocol: "tcp" }],
    [
      "8000-8009:9000-9009",
      { address: null, host: { first: 8000, last: 8009 }, container: { first: 9000, last: 9009 }, protocol: "tcp" },
    ],
    ["1-65535", { address: null, host: null, container: { first: 1, last: 65535 }, protocol: "tcp" }],
  ])("%s", (text, mapping) => {
    expect(read(text)).toEqual(mapping)
  })

  test.each([
    ["", "is no container port"],
    ["8080:", '"" is no container port'],
    ["http:80", '"http" is no host port'],
    ["0-5:80", "ports are from 1 to 65535"],
    ["80:0", "ports are from 1 to 65535"],
    ["published=8080", "there is no target=PORT"],
    ["published=8080,target=80,mode", '"mode" is not understood'],
    ["published=8080,goal=80", '"goal=80" is not understood'],
    ["80:65536", "ports are from 1 to 65535"],
    ["90-80:80", "the range 90-80 ends before it begins"],
    ["1-2:1-3", "2 host ports for 3 container ports"],
    ["80/icmp", '"icmp" is no protocol with ports'],
    ["80/", '"" is no protocol with ports'],
    ["localhost:80:80", '"localhost" is no IP address'],
    ["127.1:80:80", '"127.1" is no IP address'],
    ["[127.0.0.1]:80:80", '"127.0.0.1" is no IP address'],
    ["::1:80:80", "has too many colons"],
    ["1.2.3.4:1:2:3", "has too many colons"],
    ["[::1]:1:2:3", "has too many colons"],
    ["-1:80", '"-1" is no host port'],
    ["8e1:80", '"8e1" is no host port'],
  ])("refused: %p", (text, message) => {
    expect(() => read(text)).toThrow(message)
    expect(() => read(text)).toThrow(`-p: "${text}"`)
  })

  test("whatever can be written is read back", () => {
    for (let round = 0; round < 500; round++) {
      const port = () => 1 + Math.floor(Math.random() * 60000)
      const [host, container, length] = [port(), port(), Math.floor(Math.random() * 3) * 7]
      const address = [null, "192.0.2.1", "2001:db8::7"][round % 3] ?? null
      const shown = address === null ? "" : `${address.includes(":") ? `[${address}]` : address}:`
      const span = (first: number) => (length ? `${first}-${first + length}` : `${first}`)
      expect(read(`${shown}${span(host)}:${span(container)}/udp`)).toEqual({
        address,
        host: { first: host, last: host + length },
        container: { first: container, last: container + length },
        protocol: "udp",
      })
    }
  })

  test("two that want the same port of the host are told", () => {
    const check = (...texts: string[]) => checkConflicts("-p", texts.map(read))
    expect(() => check("80:80", "80:81")).toThrow("-p: 0.0.0.0:80->81/tcp and 0.0.0.0:80->80/tcp want the same port")
    expect(() => check("127.0.0.1:80:80", "70-90:70-90")).toThrow("want the same port")
    check("80:80", "80:80/udp", "81:80", "80", "80")
    check("127.0.0.1:80:80", "127.0.0.2:80:80", "[::1]:80:80")
    // One of a range that is free: the other port is left to it.
    check("80-89:80", "80-89:80")
  })
})

test("-P publishes what is exposed and not published already", () => {
  const exposed = ["80", "443/tcp", "53/udp"].map((text) => parseExposed("--expose", text))
  expect(publishAll(exposed, [read("8443:443"), read("53:53")]).map(formatMapping)).toEqual([
    "0.0.0.0:*->80/tcp",
    "0.0.0.0:*->53/udp",
  ])
  expect(() => parseExposed("--expose", "80/tcp/udp")).toThrow('--expose: "80/tcp/udp" is no port')
  expect(() => parseExposed("--expose", "1:2")).toThrow('"1:2" is no container port')
})
