import { describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { formatIp, parseIp } from "../../../src/network/ip.ts"
import * as leases from "../../../src/network/leases.ts"
import type { Cidr } from "../../../src/network/links.ts"
import { addressAt, candidates, freeSubnet, offsetIn, overlap } from "../../../src/network/subnets.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"
import { type Random, random } from "../cgroup/random.ts"

cleanUpAfterAll()

const ip = (text: string) => parseIp(text) ?? new Uint8Array()
const cidr = (text: string): Cidr => ({ ip: ip(text.split("/")[0] ?? ""), prefix: Number(text.split("/")[1]) })
const shown = (address: Uint8Array | null) => (address === null ? null : formatIp(address))

describe("networks", () => {
  test.each([
    ["10.0.0.0/8", "10.200.0.0/16", true],
    ["10.200.0.0/16", "10.0.0.0/8", true],
    ["10.0.0.0/9", "10.128.0.0/9", false],
    ["172.17.0.0/16", "172.17.255.255/32", true],
    ["172.17.0.0/16", "172.18.0.0/32", false],
    ["0.0.0.0/0", "192.168.0.0/24", true],
    ["fd00::/64", "fd00:0:0:1::/64", false],
    ["fd00::/48", "fd00:0:0:1::/64", true],
    ["::/0", "0.0.0.0/0", false],
  ])("%s and %s overlap: %p", (a, b, expected) => {
    expect(overlap(cidr(a), cidr(b))).toBe(expected)
  })

  test.each([1, 2, 3])("an address of one is found in it, and in none beside it (seed %i)", (seed) => {
    const r: Random = random(seed)
    for (let i = 0; i < 300; i++) {
      const size = r.pick([4, 16])
      const network = {
        ip: Uint8Array.from({ length: size }, () => r.int(0, 255)),
        prefix: r.int(size * 8 - 24, size * 8),
      }
      const offset = r.int(0, 2 ** (size * 8 - network.prefix) - 1)
      const address = addressAt(network, offset)
      expect(offsetIn(network, address)).toBe(offset)
      expect(overlap(network, { ip: address, prefix: size * 8 })).toBe(true)
      const outside = address.map((byte, n) => (n === 0 ? byte ^ 0x80 : byte))
      expect(offsetIn(network, outside)).toBeNull()
    }
  })

  test("a free one overlaps no route; the default route is in nobody's way", () => {
    const name = (network: Cidr | null) => (network === null ? null : `${formatIp(network.ip)}/${network.prefix}`)
    expect(name(freeSubnet([cidr("0.0.0.0/0"), cidr("::/0")]))).toBe("172.17.0.0/16")
    expect(name(freeSubnet([cidr("172.16.0.0/14"), cidr("172.20.5.0/24")]))).toBe("172.21.0.0/16")
    expect(name(freeSubnet([cidr("172.16.0.0/12")]))).toBe("192.168.0.0/20")
    expect(name(freeSubnet([cidr("0.0.0.0/1"), cidr("128.0.0.0/1")]))).toBe("172.17.0.0/16")
    expect(name(freeSubnet([cidr("172.17.1.0/24"), cidr("128.0.0.0/2"), cidr("192.0.0.0/2")]))).toBe("172.18.0.0/16")
    expect(freeSubnet(candidates())).toBeNull()
    expect(freeSubnet([], [cidr("172.16.0.0/12"), cidr("192.168.0.0/16")])).toBeNull()
  })
})

describe("leases", () => {
  test("the lowest free address is taken; the network's own, the last and the gateway's never", () => {
    const directory = temporaryDirectory()
    const pool = leases.wholePool(cidr("10.9.8.0/29"), [ip("10.9.8.1")])
    const take = () => shown(leases.takeFreeAddress(directory, pool, "a"))
    expect(Array.from({ length: 6 }, take)).toEqual(["10.9.8.2", "10.9.8.3", "10.9.8.4", "10.9.8.5", "10.9.8.6", null])
    leases.releaseAddress(directory, ip("10.9.8.4"), "b")
    expect(take()).toBeNull()
    leases.releaseAddress(directory, ip("10.9.8.4"), "a")
    expect(take()).toBe("10.9.8.4")
  })

  test("of many, next comes the one behind them; every gap is found in the end, and nothing twice", () => {
    const directory = temporaryDirectory()
    const pool = leases.wholePool(cidr("10.9.8.0/23"), [ip("10.9.8.1"), ip("10.9.8.77")])
    const had = Array.from({ length: 508 }, () => shown(leases.takeFreeAddress(directory, pool, "a")))
    expect(had.slice(73, 77)).toEqual(["10.9.8.75", "10.9.8.76", "10.9.8.78", "10.9.8.79"])
    expect(new Set(had).size).toBe(508)
    expect(had.at(-1)).toBe("10.9.9.254")
    for (const seed of [1, 2, 3]) {
      const r: Random = random(seed)
      const given = new Set(Array.from({ length: 200 }, () => r.pick(had) ?? ""))
      for (const one of given) leases.releaseAddress(directory, ip(one), "a")
      expect(leases.takeFreeAddress(directory, { ...pool, first: 600 }, "a")).toBeNull()
      const again = Array.from(given, () => shown(leases.takeFreeAddress(directory, pool, "a")))
      expect(new Set(again)).toEqual(given)
      expect(leases.takeFreeAddress(directory, pool, "a")).toBeNull()
    }
  })

  test("one that is asked for is had once, IPv6 too", () => {
    const directory = temporaryDirectory()
    for (const address of ["10.9.8.7", "fd00::7"]) {
      expect(leases.takeAddress(directory, ip(address), "a")).toBe(true)
      expect(leases.takeAddress(directory, ip(address), "a")).toBe(true)
      expect(leases.takeAddress(directory, ip(address), "b")).toBe(false)
    }
    expect(shown(leases.takeFreeAddress(directory, leases.wholePool(cidr("fd00::/64"), [ip("fd00::1")]), "b"))).toBe(
      "fd00::2",
    )
  })

  test("what the dead had is free again", () => {
    const directory = temporaryDirectory()
    const pool = leases.wholePool(cidr("10.9.8.0/24"), [ip("10.9.8.1")])
    for (const id of ["a", "b", "a", "c"]) leases.takeFreeAddress(directory, pool, id)
    leases.releaseDead(directory, (id) => id === "b")
    expect(readdirSync(directory)).toEqual(["10.9.8.3"])
  })

  test("eight processes at once get 200 addresses, no two the same, killed ones in between", async () => {
    const directory = temporaryDirectory()
    const script = `${import.meta.dir}/leases-child.ts`
    const spawn = (id: string, count: number) => Bun.spawn([process.execPath, script, directory, id, String(count)])
    const killed = spawn("killed", 5000)
    const children = Array.from({ length: 8 }, (_, i) => spawn(`id${i}`, 25))
    const texts = await Promise.all(children.map((child) => child.stdout.text()))
    killed.kill("SIGKILL")
    await killed.exited
    const all = texts.flatMap((text) => text.trim().split("\n"))
    expect(all).toHaveLength(200)
    expect(new Set(all).size).toBe(200)
    leases.releaseDead(directory, (id) => id !== "killed")
    expect(readdirSync(directory).sort()).toEqual(all.sort())
  }, 60_000)
})
