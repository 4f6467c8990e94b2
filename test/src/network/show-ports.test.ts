import { expect, test } from "bun:test"
import type { HeldPort } from "../../../src/network/ports.ts"
import { formatBinding, portBindings, portsColumn } from "../../../src/network/show-ports.ts"

const held = (host: number, container: number, changes: Partial<HeldPort> = {}): HeldPort => ({
  protocol: "tcp",
  address: null,
  host,
  container,
  fd: null,
  ...changes,
})

test("the column of ps has ranges for what follows one another", () => {
  const ports = [
    held(8001, 81),
    held(8000, 80),
    held(53, 53, { protocol: "udp", address: "127.0.0.1" }),
    held(9000, 82),
  ]
  expect(portsColumn(ports, true)).toBe(
    "127.0.0.1:53->53/udp, 0.0.0.0:8000-8001->80-81/tcp, [::]:8000-8001->80-81/tcp, 0.0.0.0:9000->82/tcp, [::]:9000->82/tcp",
  )
  expect(portsColumn(ports.slice(0, 1), false)).toBe("0.0.0.0:8001->81/tcp")
  expect(portsColumn([], true)).toBe("")
})

test("every port of any ports is in the column, in one range alone", () => {
  for (let round = 0; round < 200; round++) {
    const hosts = Array.from({ length: 12 }, (_, i) => 1000 + i).filter(() => Math.random() < 0.6)
    const column = portsColumn(
      hosts.map((host) => held(host, host - 900)),
      false,
    )
    const shown = column
      .split(", ")
      .filter(Boolean)
      .flatMap((one) => {
        const [, first = "", last = first] = /^0\.0\.0\.0:(\d+)(?:-(\d+))?->/.exec(one) ?? []
        return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i)
      })
    expect(shown).toEqual(hosts)
  }
})

test("a port of every address is bound on both of them, as docker port has it", () => {
  const shown = (ports: HeldPort[], six: boolean) =>
    portBindings(ports, six).map((one) => `${one.port} -> ${formatBinding(one)}`)
  expect(shown([held(8080, 80)], true)).toEqual(["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"])
  expect(shown([held(8080, 80, { address: "::1" })], true)).toEqual(["80/tcp -> [::1]:8080"])
})
