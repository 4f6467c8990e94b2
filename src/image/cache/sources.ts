/** Which layer an archive, an address or the digest of an archive was unpacked to: one small file for each. */
import { call, callResult } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CREAT, O_RDWR } from "../../../ffi/constants/fcntl.ts"
import {
  close,
  createExclusive,
  exists,
  listDir,
  mkdirAll,
  open,
  rename,
  stat,
  tryLock,
  tryReadText,
  unlink,
  writeAll,
} from "../../../ffi/fs.ts"
import type { Paths } from "../../paths.ts"

/** What a layer is found by: the path of a file, an address without userinfo, or "sha256:HEX" of the archive's bytes. */
export type SourceKind = "file" | "address" | "digest"

/** sources/KIND-HEX.json, named by the SHA-256 of its name. */
export interface SourceRecord {
  kind: SourceKind
  name: string
  /** The layer: SHA-256 of the tar stream. */
  diffId: string
  /** Digests of the archive's own bytes, as far as they are known. */
  digests: readonly string[]
  /** Of the archive, in bytes. */
  size: number
  /** When it was fetched or unpacked: ISO 8601. */
  created: string
  /** Of a file: fileIdentity. */
  identity?: string
  /** Of an address, as its server told them. */
  etag?: string | null
  lastModified?: string | null
}

const sourceBase = (paths: Paths, kind: SourceKind, name: string): string =>
  `${paths.sources}/${kind}-${new Bun.CryptoHasher("sha256").update(name).digest("hex")}`

function parse(text: string | null): SourceRecord | null {
  if (text === null) return null
  try {
    return JSON.parse(text) as SourceRecord
  } catch (error) {
    // A power cut has left a file without its content: as if it were not there.
    if (!(error instanceof SyntaxError)) throw error
    return null
  }
}

/** The record of a source; null where there is none. */
export function readSource(paths: Paths, kind: SourceKind, name: string): SourceRecord | null {
  const record = parse(tryReadText(`${sourceBase(paths, kind, name)}.json`))
  return record?.kind === kind && record.name === name ? record : null
}

/** Writes or replaces a source's record. */
export function writeSource(paths: Paths, record: SourceRecord): void {
  mkdirAll(paths.sources, 0o700)
  const path = `${sourceBase(paths, record.kind, record.name)}.json`
  // One digest may be found by two runs of different addresses at once.
  const temporary = `${path}.${process.pid}.new`
  unlink(temporary)
  const fd = createExclusive(temporary)
  if (fd === null) return
  try {
    writeAll(fd, new TextEncoder().encode(JSON.stringify(record)))
    call("fsync", fd)
    rename(temporary, path)
  } catch (error) {
    unlink(temporary)
    throw error
  } finally {
    close(fd)
  }
}

/** Notes that a source was used, in its file's time of change: utimensat(2). */
export function touchSource(paths: Paths, kind: SourceKind, name: string): void {
  callResult("utimensat", AT_FDCWD, `${sourceBase(paths, kind, name)}.json`, null, 0)
}

/** A record, and when it was used last, in milliseconds. */
export interface UsedSource extends SourceRecord {
  used: number
}

/** All records; half-written ones of killed processes are removed. */
export function listSources(paths: Paths): UsedSource[] {
  return listDir(paths.sources).flatMap((name): UsedSource[] => {
    const path = `${paths.sources}/${name}`
    const writer = /\.(\d+)\.new$/.exec(name)?.[1]
    if (writer !== undefined && !exists(`/proc/${writer}`)) unlink(path)
    if (name.endsWith(".lock")) removeStaleLock(path)
    if (!name.endsWith(".json")) return []
    const record = parse(tryReadText(path))
    return record === null ? [] : [{ ...record, used: stat(path)?.mtime ?? 0 }]
  })
}

/** Forgets a source. */
export function removeSource(paths: Paths, kind: SourceKind, name: string): void {
  unlink(`${sourceBase(paths, kind, name)}.json`)
}

/** The right to fetch and unpack a source: an open, locked file. */
export interface SourceLock {
  fd: number
  path: string
}

/** Takes it without waiting; null where another toybox has it. */
export function tryLockSource(paths: Paths, kind: SourceKind, name: string): SourceLock | null {
  mkdirAll(paths.sources, 0o700)
  const path = `${sourceBase(paths, kind, name)}.lock`
  const fd = open(path, O_RDWR | O_CREAT, 0o600)
  // A lock on a file that was removed meanwhile is nobody's.
  if (tryLock(fd) && (stat(`/proc/self/fd/${fd}`)?.nlink ?? 0) > 0) return { fd, path }
  close(fd)
  return null
}

/** Gives it back. The file goes first: a lock without a file is nobody's. */
export function unlockSource({ fd, path }: SourceLock): void {
  unlink(path)
  close(fd)
}

function removeStaleLock(path: string): void {
  if (!exists(path)) return
  const fd = open(path, O_RDWR | O_CREAT, 0o600)
  if (tryLock(fd)) unlink(path)
  close(fd)
}
