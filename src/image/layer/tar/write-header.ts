/** Headers as this program writes them: ustar, with a PAX header where ustar has no room. pax(1). */
import { toBytes } from "../binary.ts"
import type { EntryType } from "./entry.ts"
import { BLOCK } from "./header.ts"

/** What is written about a file; names and values are binary strings (binary.ts). */
export interface WrittenEntry {
  readonly type: EntryType
  /** Without a leading slash; a directory's ends with one. */
  readonly path: string
  readonly link?: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of the content that follows, in bytes. */
  readonly size?: number
  readonly mtime: number
  readonly mtimeNanoseconds?: number
  readonly major?: number
  readonly minor?: number
  readonly xattrs?: readonly (readonly [name: string, value: string])[]
  /** The size with the holes, where the content is a map and what lies between them: GNU sparse, version 1.0. */
  readonly sparseSize?: number
}

const TYPEFLAGS: Readonly<Record<EntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
}

// Eleven and seven octal digits.
const LARGEST_LONG = 8 ** 11 - 1
const LARGEST_SHORT = 8 ** 7 - 1

/** A record of a PAX header; its length counts itself. */
function paxRecord(keyword: string, value: string): string {
  const rest = ` ${keyword}=${value}\n`
  let length = rest.length
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return `${length}${rest}`
}

const isAscii = (text: string) => /^[\x20-\x7e]*$/.test(text)

/** The ustar name and prefix of a path, cut at a slash; null where it does not fit. */
function splitPath(path: string): { name: string; prefix: string } | null {
  if (path.length <= 100) return { name: path, prefix: "" }
  for (let at = path.lastIndexOf("/", 155); at > 0; at = path.lastIndexOf("/", at - 1)) {
    const name = path.slice(at + 1)
    if (name.length > 100) return null
    if (name !== "") return { name, prefix: path.slice(0, at) }
  }
  return null
}

function decimalTime(seconds: number, nanoseconds: number): string {
  // Before 1970 the fraction goes the other way.
  const [whole, part] = seconds < 0 && nanoseconds > 0 ? [seconds + 1, 1e9 - nanoseconds] : [seconds, nanoseconds]
  const sign = seconds < 0 && whole === 0 ? "-" : ""
  return part === 0 ? String(whole) : `${sign}${whole}.${String(part).padStart(9, "0").replace(/0+$/, "")}`
}

/** The records an entry needs, always in the same order. */
function paxRecordsOf(entry: WrittenEntry): string {
  const { path, link = "", uid, gid, size = 0, mtime, mtimeNanoseconds = 0, xattrs = [] } = entry
  const records: [string, string][] = []
  if (!isAscii(path) || splitPath(path) === null) records.push(["path", path])
  if (!isAscii(link) || link.length > 100) records.push(["linkpath", link])
  if (uid > LARGEST_SHORT) records.push(["uid", String(uid)])
  if (gid > LARGEST_SHORT) records.push(["gid", String(gid)])
  if (size > LARGEST_LONG) records.push(["size", String(size)])
  if (mtime < 0 || mtime > LARGEST_LONG || mtimeNanoseconds > 0) {
    records.push(["mtime", decimalTime(mtime, mtimeNanoseconds)])
  }
  if (entry.sparseSize !== undefined) {
    records.push(["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"])
    records.push(["GNU.sparse.name", path], ["GNU.sparse.realsize", String(entry.sparseSize)])
  }
  for (const [name, value] of xattrs) records.push([`SCHILY.xattr.${name}`, value])
  const text = records.map(([keyword, value]) => paxRecord(keyword, value)).join("")
  // Names are bytes, of whatever encoding.
  const isUtf8 = records.every(([keyword, value]) => (/^(path|linkpath)$/.test(keyword) ? isText(value) : true))
  return isUtf8 ? text : `${paxRecord("hdrcharset", "BINARY")}${text}`
}

/** Whether the bytes are UTF-8. */
function isText(value: string): boolean {
  const bytes = Buffer.from(value, "latin1")
  return bytes.equals(Buffer.from(bytes.toString("utf8")))
}

const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`
const within = (value: number, largest: number) => (value < 0 || value > largest ? 0 : value)

function block(entry: WrittenEntry, typeflag: string): Buffer {
  const bytes = Buffer.alloc(BLOCK)
  const put = (offset: number, text: string) => bytes.write(text, offset, "latin1")
  const { name, prefix } = splitPath(entry.path) ?? { name: entry.path.slice(0, 100), prefix: "" }
  put(0, name)
  put(100, octal(entry.mode, 7))
  put(108, octal(within(entry.uid, LARGEST_SHORT), 7))
  put(116, octal(within(entry.gid, LARGEST_SHORT), 7))
  put(124, octal(within(entry.size ?? 0, LARGEST_LONG), 11))
  put(136, octal(within(entry.mtime, LARGEST_LONG), 11))
  put(156, typeflag)
  put(157, (entry.link ?? "").slice(0, 100))
  put(257, "ustar\x0000")
  put(329, octal(entry.major ?? 0, 7))
  put(337, octal(entry.minor ?? 0, 7))
  put(345, prefix)
  bytes.fill(0x20, 148, 156)
  let sum = 0
  for (const byte of bytes) sum += byte
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `)
  return bytes
}

/** NULs from the end of a content to that of its last block. */
export const paddingFor = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)

/** All blocks of an entry that come before its content. */
export function writeHeader(entry: WrittenEntry): Uint8Array {
  const records = paxRecordsOf(entry)
  const header = block(entry, TYPEFLAGS[entry.type])
  if (records === "") return header
  const content = toBytes(records)
  // A name of its own for programs that do not know PAX; the times are fixed, so that equal trees give equal archives.
  const name = `PaxHeaders/${entry.path.replace(/\/$/, "").split("/").at(-1)}`.slice(0, 100)
  const extension = { ...entry, path: name, link: "", mode: 0o644, uid: 0, gid: 0, size: content.length, mtime: 0 }
  return Buffer.concat([block({ ...extension, major: 0, minor: 0 }, "x"), content, paddingFor(content.length), header])
}

/** What ends an archive. */
export const END_OF_ARCHIVE: Uint8Array = new Uint8Array(2 * BLOCK)
