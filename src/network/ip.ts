/** IP addresses as text and as bytes in network order: inet_pton(3), RFC 4291 section 2.2, RFC 5952. */

const octet = (text: string) => (/^(0|[1-9]\d{0,2})$/.test(text) && Number(text) < 256 ? Number(text) : null)

function parseV4(text: string): number[] | null {
  const octets = text.split(".").map(octet)
  const known = octets.filter((value) => value !== null)
  return octets.length === 4 && known.length === 4 ? known : null
}

/** The bytes of groups between colons; the last one of an address may be an IPv4 address. */
function groups(text: string, isEnd: boolean): number[] | null {
  if (text === "") return []
  const parts = text.split(":")
  const bytes: number[] = []
  for (const [i, part] of parts.entries()) {
    const mapped = isEnd && i === parts.length - 1 && part.includes(".") ? parseV4(part) : null
    if (mapped) bytes.push(...mapped)
    else if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null
    else bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 0xff)
  }
  return bytes
}

function parseV6(text: string): number[] | null {
  const halves = text.split("::")
  const [head, tail] = halves.map((half, i) => groups(half, i === halves.length - 1))
  if (!head || halves.length > 2) return null
  if (halves.length === 1) return head.length === 16 ? head : null
  // "::" stands for one group at least.
  if (!tail || head.length + tail.length > 14) return null
  return [...head, ...Array<number>(16 - head.length - tail.length).fill(0), ...tail]
}

/** The 4 or 16 bytes of an address; null where the text is none. No zones, no octal or short forms. */
export function parseIp(text: string): Uint8Array | null {
  const bytes = text.includes(":") ? parseV6(text) : parseV4(text)
  return bytes === null ? null : Uint8Array.from(bytes)
}

/** The text of 4 or 16 bytes, as RFC 5952 has it. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".")
  const words = Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16))
  let best = { start: 0, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (words[start + length] === "0") length++
    if (length > best.length) best = { start, length }
  }
  if (best.length < 2) return words.join(":")
  return `${words.slice(0, best.start).join(":")}::${words.slice(best.start + best.length).join(":")}`
}

/** Whether an address is the machine's own loopback: 127.0.0.0/8 or ::1. */
export const isLoopback = (bytes: Uint8Array): boolean =>
  bytes.length === 4 ? bytes[0] === 127 : formatIp(bytes) === "::1"

/** The link-local address that the kernel makes of a link's six bytes: RFC 4291, appendix A. */
export const linkLocal = ([a = 0, b = 0, c = 0, d = 0, e = 0, f = 0]: Uint8Array): Uint8Array =>
  Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 0x02, b, c, 0xff, 0xfe, d, e, f)
