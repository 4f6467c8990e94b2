import { describe, expect, test } from "bun:test"
import { inside, sh } from "../helpers/container.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)("names in a container", () => {
  test("--dns, --dns-search, --dns-opt", async () => {
    const run = ["--dns", "192.0.2.1", "--dns", "2001:db8::1", "--dns-search", "a.example", "--dns-opt", "ndots:3"]
    const lines = (await inside("cat /etc/resolv.conf", { run })).split("\n")
    const of = (keyword: string) => lines.filter((line) => line.startsWith(`${keyword} `))
    expect([of("nameserver"), of("search"), of("options")]).toEqual([
      ["nameserver 192.0.2.1", "nameserver 2001:db8::1"],
      ["search a.example"],
      ["options ndots:3"],
    ])
  })

  test("--add-host: the resolver of the container knows it", async () => {
    const run = ["--add-host", "far.example:192.0.2.9", "--add-host", "self:127.0.0.1"]
    expect(await inside("grep far.example /etc/hosts; wget -O- http://self:9/ 2>&1 | head -1", { run })).toMatch(
      /^192\.0\.2\.9\tfar\.example\nConnecting to self:9 \(127\.0\.0\.1:9\)/,
    )
    const host = ["--net", "host", "--add-host", "me:host-gateway"]
    expect(await inside("grep -w me /etc/hosts", { run: host })).toBe("127.0.0.1\tme")
  })

  test("--add-host NAME:host-gateway is refused where there is no way to the host", async () => {
    const run = ["--net", "none", "--add-host", "me:host-gateway"]
    const { stderr, exitCode } = await sh("true", { run })
    expect(stderr).toContain("--add-host: me: from a container without a network the host is not reached")
    expect(exitCode).toBe(125)
  })
})
