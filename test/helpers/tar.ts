/** Archives made by hand, header by header: what no honest program writes. */

export interface HandMade {
  name?: string
  type?: string
  mode?: number
  uid?: number
  gid?: number
  /** As in the header; the content's, unless said. */
  size?: number
  mtime?: number
  link?: string
  magic?: string
  prefix?: string
  major?: number
  minor?: number
  content?: string | Uint8Array
  /** Added to the right checksum. */
  wrongBy?: number
  /** Bytes put over the header at an offset, before the checksum is counted. */
  over?: readonly (readonly [offset: number, bytes: string])[]
}

const bytesOf = (content: string | Uint8Array) =>
  typeof content === "string" ? Buffer.from(content, "latin1") : Buffer.from(content)

/** Rounds up with NULs to whole blocks. */
export const padded = (content: Uint8Array): Buffer =>
  Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)])

const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, "0")}\0`

/** One header with its content. Text is taken as latin1: a character for each byte. */
export function tarEntry(entry: HandMade): Buffer {
  const content = bytesOf(entry.content ?? "")
  const block = Buffer.alloc(512)
  const put = (offset: number, text: string) => block.write(text, offset, "latin1")
  put(0, (entry.name ?? "file").slice(0, 100))
  put(100, octal(entry.mode ?? 0o644, 8))
  put(108, octal(entry.uid ?? 0, 8))
  put(116, octal(entry.gid ?? 0, 8))
  put(124, octal(entry.size ?? content.length, 12))
  put(136, octal(entry.mtime ?? 1_000_000_000, 12))
  put(156, entry.type ?? "0")
  put(157, (entry.link ?? "").slice(0, 100))
  put(257, entry.magic ?? "ustar\x0000")
  put(329, octal(entry.major ?? 0, 8))
  put(337, octal(entry.minor ?? 0, 8))
  put(345, entry.prefix ?? "")
  for (const [offset, bytes] of entry.over ?? []) put(offset, bytes)
  block.fill(" ", 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0) + (entry.wrongBy ?? 0)
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `)
  return Buffer.concat([block, padded(content)])
}

/** A record of a PAX header: its length counts itself. */
export function paxRecord(keyword: string, value: string): string {
  const rest = ` ${keyword}=${value}\n`
  let length = rest.length
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return `${length}${rest}`
}

/** A PAX header for the next entry, or (type g) for all that follow. */
export const paxHeader = (records: readonly (readonly [string, string])[], type = "x"): Buffer =>
  tarEntry({
    name: "PaxHeaders/x",
    type,
    content: records.map(([keyword, value]) => paxRecord(keyword, value)).join(""),
  })

/** GNU's header for a long name (L) or link target (K). */
export const gnuLong = (type: "L" | "K", text: string): Buffer =>
  tarEntry({ name: "././@LongLink", type, magic: "ustar  \0", content: `${text}\0` })

export const END = Buffer.alloc(1024)

/** A whole archive. */
export const tarArchive = (...parts: readonly (Uint8Array | HandMade)[]): Buffer =>
  Buffer.concat([...parts.map((part) => (part instanceof Uint8Array ? part : tarEntry(part))), END])

/** Bytes as a stream, in chunks of `size`. */
export async function* chunked(bytes: Uint8Array, size = 65536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
