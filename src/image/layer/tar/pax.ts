/** The records of PAX extended headers: pax(1), "pax Extended Header". */
import { TarError } from "./entry.ts"

/** Keyword to value, binary strings. An empty value takes back what an earlier header said. */
export type PaxRecords = Map<string, string>

// GNU.sparse 0.0 repeats these, in pairs.
const REPEATED = new Set(["GNU.sparse.offset", "GNU.sparse.numbytes"])

/** Adds the records of a header: "length keyword=value\n". Throws TarError. */
export function addPaxRecords(text: string, records: PaxRecords): void {
  for (let position = 0; position < text.length; ) {
    const blank = text.indexOf(" ", position)
    const digits = blank < 0 ? "" : text.slice(position, blank)
    // Some writers fill up with NULs.
    if (digits === "" && /^\0*$/.test(text.slice(position))) return
    const length = /^\d{1,9}$/.test(digits) ? Number(digits) : 0
    const end = position + length
    const equals = text.indexOf("=", blank)
    if (length === 0 || end > text.length || text[end - 1] !== "\n" || equals < 0 || equals >= end) {
      throw new TarError("has a malformed PAX header")
    }
    const keyword = text.slice(blank + 1, equals)
    const value = text.slice(equals + 1, end - 1)
    const before = REPEATED.has(keyword) ? records.get(keyword) : undefined
    records.set(keyword, before === undefined ? value : `${before},${value}`)
    position = end
  }
}

/** A decimal number of a record, or undefined where there is none. Throws TarError. */
export function paxNumber(records: PaxRecords, keyword: string): number | undefined {
  const text = records.get(keyword)
  if (text === undefined || text === "") return undefined
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new TarError(`has a PAX header whose ${keyword} is no number`)
  return value
}

/** A time, as seconds rounded down and nanoseconds; undefined where there is none. Throws TarError. */
export function paxTime(records: PaxRecords, keyword: string): { seconds: number; nanoseconds: number } | undefined {
  const text = records.get(keyword)
  if (text === undefined || text === "") return undefined
  const match = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(text)
  if (!match) throw new TarError(`has a PAX header whose ${keyword} is no time`)
  const whole = Number(match[2])
  if (!Number.isSafeInteger(whole)) throw new TarError(`has a PAX header whose ${keyword} is out of range`)
  const nanoseconds = Number((match[3] ?? "").padEnd(9, "0").slice(0, 9))
  if (match[1] === "") return { seconds: whole, nanoseconds }
  return nanoseconds === 0
    ? { seconds: 0 - whole, nanoseconds }
    : { seconds: -whole - 1, nanoseconds: 1e9 - nanoseconds }
}

const STAR = "SCHILY.xattr."
const LIBARCHIVE = "LIBARCHIVE.xattr."

/**
 * The extended attributes among the records: star's form, which GNU tar has, too, and libarchive's. libarchive writes both,
 * with names encoded in both; its own form is the exact one.
 */
export function paxXattrs(records: PaxRecords): Map<string, string> | null {
  let found: Map<string, string> | null = null
  for (const [keyword, value] of records) {
    if (keyword.startsWith(LIBARCHIVE)) {
      found ??= new Map()
      const name = decodePercent(keyword.slice(LIBARCHIVE.length))
      found.set(name, Buffer.from(value, "base64").toString("latin1"))
    } else if (keyword.startsWith(STAR)) {
      const name = keyword.slice(STAR.length)
      if (records.has(`${LIBARCHIVE}${name}`)) continue
      found ??= new Map()
      found.set(name, value)
    }
  }
  return found
}

function decodePercent(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}
