import { describe, expect, test } from "bun:test"
import { isIP } from "node:net"
import { formatIp, isLoopback, parseIp } from "../../../src/network/ip.ts"

const again = (text: string) => {
  const bytes = parseIp(text)
  return bytes === null ? null : formatIp(bytes)
}

describe("addresses", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["fe80::", "fe80::"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
  ])("%s", (text, canonical) => {
    expect(again(text)).toBe(canonical)
  })

  test.each([
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "256.0.0.1",
    "01.2.3.4",
    " 1.2.3.4",
    "1.2.3.-4",
    ":",
    ":::",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "fe80::1%eth0",
    "1.2.3.4::",
    "::1.2.3",
    "g::",
  ])("refused: %p", (text) => {
    expect(parseIp(text)).toBeNull()
  })

  test("any bytes are read back, and node agrees on what is an address", () => {
    for (let round = 0; round < 2000; round++) {
      const bytes = crypto.getRandomValues(new Uint8Array(round % 2 ? 4 : 16))
      // Runs of zeros, which are what is shortened.
      for (let i = 0; i < bytes.length; i++) if (Math.random() < 0.6) bytes[i] = 0
      const text = formatIp(bytes)
      expect(parseIp(text)).toEqual(bytes)
      expect(isIP(text)).toBe(bytes.length === 4 ? 4 : 6)
      const broken = text.replace(/./g, (c) => (Math.random() < 0.1 ? (":.0a"[Math.floor(Math.random() * 4)] ?? c) : c))
      expect({ broken, known: parseIp(broken) !== null }).toEqual({ broken, known: isIP(broken) !== 0 })
    }
  })

  test("the loopback", () => {
    const loopback = (text: string) => isLoopback(parseIp(text) ?? new Uint8Array(4))
    expect(["127.0.0.53", "127.255.0.1", "::1", "128.0.0.1", "::2"].map(loopback)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
  })
})
