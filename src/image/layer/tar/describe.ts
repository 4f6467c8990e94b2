/** From a header block, and the extended headers before it, to an entry. */
import { type EntryType, type TarEntry, TarError } from "./entry.ts"
import { type Header, readHeader, readNumber } from "./header.ts"
import { type PaxRecords, paxNumber, paxTime, paxXattrs } from "./pax.ts"
import { readOldSparse, readPaxSparse, type SparseList } from "./sparse.ts"

/** What earlier headers have said about the next entry. */
export interface Extensions {
  readonly global: PaxRecords
  readonly local: PaxRecords
  /** GNU's long names. */
  path: string | null
  link: string | null
}

export const noExtensions = (global: PaxRecords = new Map()): Extensions => ({
  global,
  local: new Map(),
  path: null,
  link: null,
})

/** An entry and how its content is stored. */
export interface Described {
  readonly entry: TarEntry & { sparse: SparseList | null }
  /** Bytes that follow, without the padding. */
  readonly stored: number
  /** What comes before the content: blocks of the old sparse form, or the map of form 1.0. */
  readonly before: "old-sparse" | "map" | null
  /** The stored bytes are no content of a file, but something that is not wanted. */
  readonly skipped: boolean
}

const TYPES: Readonly<Record<string, EntryType>> = {
  "\0": "file",
  "0": "file",
  "7": "file", // "contiguous"
  S: "file", // GNU sparse
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  D: "directory", // GNU incremental: its content is a list of names
}

// The last id is -1, which for chown(2) means: leave it.
const LAST_ID = 2 ** 32 - 2

function id(value: number, field: string): number {
  if (value < 0 || value > LAST_ID) throw new TarError(`has an entry whose ${field} ${value} is out of range`)
  return value
}

function merged({ global, local }: Extensions): PaxRecords {
  if (global.size === 0) return local
  if (local.size === 0) return global
  return new Map([...global, ...local])
}

const isDevice = (type: EntryType) => type === "character" || type === "block"

function typeOf({ typeflag }: Header, path: string): EntryType {
  const type = TYPES[typeflag]
  if (type === undefined) throw new TarError(`has an entry of the unknown type ${JSON.stringify(typeflag)}`)
  // The old convention for directories, before they had a type.
  return type === "file" && typeflag !== "S" && path.endsWith("/") ? "directory" : type
}

/** Where the data of a sparse file goes, and its size with the holes. */
function sparseOf(block: Uint8Array, header: Header, records: PaxRecords, type: EntryType) {
  if (header.typeflag === "S") {
    const { list, size, more } = readOldSparse(block)
    return { list, size, before: more ? ("old-sparse" as const) : null }
  }
  if (type !== "file" || records.size === 0) return null
  const size = paxNumber(records, "GNU.sparse.realsize") ?? paxNumber(records, "GNU.sparse.size")
  if (size === undefined) return null
  if (records.get("GNU.sparse.major") === "1") {
    return { list: { offsets: [], lengths: [] }, size, before: "map" as const }
  }
  const list = readPaxSparse(records)
  return list === null ? null : { list, size, before: null }
}

/** Throws TarError. */
export function describe(block: Uint8Array, extensions: Extensions): Described {
  const header = readHeader(block)
  const records = merged(extensions)
  const text = (keyword: string) => records.get(keyword) || undefined
  const path = text("GNU.sparse.name") ?? text("path") ?? extensions.path ?? header.path
  const type = typeOf(header, path)
  const size = paxNumber(records, "size") ?? header.size
  if (size < 0) throw new TarError(`has an entry of the size ${size}`)
  const isFile = type === "file"
  const hasContent = isFile || (type === "directory" && header.typeflag !== "5")
  const sparse = sparseOf(block, header, records, type)
  if (sparse !== null && sparse.size < 0) throw new TarError(`has an entry of the size ${sparse.size}`)
  const time = paxTime(records, "mtime")
  const entry = {
    type,
    path,
    link: type === "symlink" || type === "hardlink" ? (text("linkpath") ?? extensions.link ?? header.link) : "",
    mode: header.mode,
    uid: id(paxNumber(records, "uid") ?? header.uid, "owner"),
    gid: id(paxNumber(records, "gid") ?? header.gid, "group"),
    size: isFile ? (sparse?.size ?? size) : 0,
    mtime: time?.seconds ?? header.mtime,
    mtimeNanoseconds: time?.nanoseconds ?? 0,
    // For what is no device some writers leave rubbish in these fields.
    major: isDevice(type) ? (paxNumber(records, "SCHILY.devmajor") ?? readNumber(block, 329, 8, "major number")) : 0,
    minor: isDevice(type) ? (paxNumber(records, "SCHILY.devminor") ?? readNumber(block, 337, 8, "minor number")) : 0,
    xattrs: records.size === 0 ? null : paxXattrs(records),
    sparse: sparse?.list ?? null,
  }
  return { entry, stored: hasContent ? size : 0, before: sparse?.before ?? null, skipped: hasContent && !isFile }
}
