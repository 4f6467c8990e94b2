/** Networks and ports on a machine that was booted without IPv6. */
import { describe, expect, test } from "bun:test"
import { NETWORK_MODULES } from "./machine.ts"
import { missing, session } from "./session.ts"

if (missing !== undefined) console.log(`vm tests skipped: ${missing}`)

describe.skipIf(missing !== undefined)("without IPv6", () => {
  const { lines, section } = session({
    timeoutSeconds: 240,
    modules: [...NETWORK_MODULES, "nft_nat", "nft_fib_inet", "dummy"],
    cmdline: "ipv6.disable=1",
    script: `
      ip link add out type dummy; ip address add 10.1.1.1/24 dev out; ip link set out up; ip route add default via 10.1.1.2
      export TOYBOX_NETWORK=bridge
      section ports
      toybox run -dq --name web -p 8080:80 base nc -ll -p 80 -e echo served >/dev/null
      toybox exec web sh -c 'until nc -w 2 127.0.0.1 80 >/dev/null; do sleep 0.1; done'
      nc -w 5 127.0.0.1 8080
      toybox run --rm -q base nc -w 5 10.1.1.1 8080
      toybox port web
      section networks
      toybox network ls --format '{{.Name}} {{.IPv6}}' | grep bridge
      toybox rm -f web >/dev/null; toybox network prune
      section left; left; ip -o link | grep -c toybox0
    `,
  })

  test("ports are published, and reached", () => {
    expect(lines("ports")).toEqual(["served", "served", "80/tcp -> 0.0.0.0:8080"])
  })

  test("networks have none", () => {
    expect(lines("networks")).toEqual(["bridge false"])
    expect(section("left")).toBe("0")
  })
})
