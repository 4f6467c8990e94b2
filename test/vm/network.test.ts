/** Networks on a kernel with bridges and without nf_tables: containers reach each other, and ports go through a process. */
import { describe, expect, test } from "bun:test"
import { missing, session } from "./session.ts"

if (missing !== undefined) console.log(`vm tests skipped: ${missing}`)

describe.skipIf(missing !== undefined)("networks without nf_tables", () => {
  const { lines, section } = session({
    timeoutSeconds: 240,
    modules: ["veth", "bridge"],
    script: `
      toybox network create --subnet 10.9.0.0/24 lan >/dev/null
      section start
      toybox run -d --net lan --name web -p 8080:80 -p 5353:53/udp base sh -c 'nc -ll -p 80 -e echo served' 2>&1 >/dev/null
      section ports
      toybox exec web sh -c 'until nc -w 2 127.0.0.1 80 >/dev/null; do sleep 0.1; done'
      nc -w 5 127.0.0.1 8080
      toybox run --rm -q --net lan base nc -w 5 10.9.0.1 8080
      toybox run --rm -q --net lan base nc -w 5 web 80
      toybox port web
      toybox run --rm -q --net lan --cap-add NET_ADMIN base echo unguarded
      section again
      toybox restart -t 0 web >/dev/null 2>&1
      toybox exec web sh -c 'until nc -w 2 127.0.0.1 80 >/dev/null; do sleep 0.1; done'
      nc -w 5 127.0.0.1 8080
      toybox rm -f web
      nc -w 2 127.0.0.1 8080 || echo closed
      section left; left
    `,
  })

  test("say so", () => {
    expect(section("start")).toContain(
      "the kernel has no nf_tables: published ports go through a process of toybox's own",
    )
  })

  test("publish ports, and containers have names", () => {
    expect(lines("ports").slice(0, 3)).toEqual(["served", "served", "served"])
    expect(section("ports")).toContain("53/udp -> 0.0.0.0:5353")
    expect(lines("ports").at(-1)).toBe("unguarded")
  })

  test("do so again, and leave nothing", () => {
    expect(lines("again").map((line) => line.trim())).toEqual([
      "served",
      "web",
      expect.stringContaining("refused"),
      "closed",
    ])
    expect(section("left")).toBe("")
  })
})
