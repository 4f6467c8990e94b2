import { describe, expect, test } from "bun:test"
import { LEAST_MEMORY, parseMemory, parseSize, resolveMemory } from "../../../../src/cgroup/units.ts"
import { random } from "../random.ts"

const MIB = 1 << 20
const memory = (text: string) => ({ option: "--mem", text })
const swap = (text: string) => ({ option: "--swap", text })
const memorySwap = (text: string) => ({ option: "--memory-swap", text })

describe("parseMemory", () => {
  test.each([
    ["500M", 500 * MIB],
    ["500m", 500 * MIB],
    ["500MB", 500 * MIB],
    ["500mb", 500 * MIB],
    ["512MiB", 512 * MIB],
    ["512mib", 512 * MIB],
    ["1g", 1024 * MIB],
    ["1.5g", 1536 * MIB],
    ["0.1g", 107_374_182],
    ["8192k", 8 * MIB],
    ["1t", 2 ** 40],
    ["10000000", 10_000_000],
    ["10000000b", 10_000_000],
    ["6m", LEAST_MEMORY],
    ["8191t", 8191 * 2 ** 40],
  ])("%s", (text, bytes) => {
    expect(parseMemory("--mem", text)).toBe(bytes)
  })

  const junk = ["", "M", "-1", "-500M", "+1g", "1e9", "0x10000000", "500 M", "500MM", "500MBB", "500ib", "5.", ".5g"]
  test.each([...junk, "NaN", "Infinity", "1,5g", "500M\n", "1p", "9000t", "99999999999999999999999g"])(
    "refuses %j",
    (text) => {
      const form = "is not a memory size (use 500M, 1g, 512MiB or a number of bytes)"
      expect(() => parseMemory("--mem", text)).toThrow(`--mem: ${JSON.stringify(text)} ${form}`)
    },
  )

  test.each(["0", "1", "512k", "5.99m", "6291455"])("refuses less than a container can start in: %s", (text) => {
    expect(() => parseMemory("--mem", text)).toThrow("at least 6M")
  })

  test("a size written in any unit and spelling is the same number of bytes (seed 2)", () => {
    const { int, pick } = random(2)
    const units = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }
    for (let round = 0; round < 3000; round++) {
      const unit = pick(["k", "m", "g", "t"] as const)
      const amount = int(0, 8000)
      const letter = pick([unit, unit.toUpperCase()])
      expect(parseSize(`${amount}${letter}${pick(["", "b", "B", "ib", "iB", "IB"])}`)).toBe(amount * units[unit])
    }
  })

  test("random text is a safe whole number or refused (seed 3)", () => {
    const { int, pick } = random(3)
    const letters = [..."0123456789..kKmMgGtTbBiI -+exE%\n"]
    for (let round = 0; round < 5000; round++) {
      const text = Array.from({ length: int(0, 8) }, () => pick(letters)).join("")
      const bytes = parseSize(text)
      if (bytes === null) continue
      expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true)
      expect(text).toMatch(/^\d+(\.\d+)?([kmgt](i?b)?|b)?$/i)
    }
  })
})

describe("resolveMemory", () => {
  test("gives no swap unless asked", () => {
    expect(resolveMemory({ memory: memory("500M") })).toEqual({ limit: 500 * MIB, swap: 500 * MIB })
  })

  test("--swap comes on top, --memory-swap is the total", () => {
    expect(resolveMemory({ memory: memory("1g"), swap: swap("512m") })).toEqual({ limit: 1024 * MIB, swap: 1536 * MIB })
    expect(resolveMemory({ memory: memory("1g"), swap: swap("0") })?.swap).toBe(1024 * MIB)
    expect(resolveMemory({ memory: memory("1g"), memorySwap: memorySwap("2g") })?.swap).toBe(2048 * MIB)
  })

  test("-1 is unlimited", () => {
    expect(resolveMemory({ memory: memory("1g"), swap: swap("-1") })?.swap).toBe(-1)
    expect(resolveMemory({ memory: memory("1g"), swap: swap("max") })?.swap).toBe(-1)
    expect(resolveMemory({ memory: memory("1g"), memorySwap: memorySwap("-1") })?.swap).toBe(-1)
  })

  test.each([
    [{ swap: swap("1g") }, "--swap needs a memory limit beside it"],
    [{ memorySwap: memorySwap("-1") }, "--memory-swap needs a memory limit"],
    [{ memory: memory("1g"), swap: swap("1g"), memorySwap: memorySwap("2g") }, "exclude each other"],
    [{ memory: memory("1g"), memorySwap: memorySwap("512m") }, "at least the memory limit of 1073741824 bytes"],
    [{ memory: memory("1g"), memorySwap: memorySwap("max") }, '"max" is not a memory size'],
    [{ memory: memory("1g"), swap: swap("-2") }, '--swap: "-2" is not a swap size'],
    [{ memory: memory("8191t"), swap: swap("8191t") }, "is not a swap size"],
    [{ memory: memory("1g"), reservation: { option: "--memory-reservation", text: "2g" } }, "at most the memory limit"],
  ])("refuses %j", (options, message) => {
    expect(() => resolveMemory(options)).toThrow(message)
  })

  test("a reservation alone sets no limit, nothing is nothing", () => {
    expect(resolveMemory({ reservation: { option: "--memory-reservation", text: "64m" } })).toEqual({
      reservation: 64 * MIB,
    })
    expect(resolveMemory({})).toBeNull()
  })
})
