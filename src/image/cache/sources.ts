/** Which layer an archive, an address or the digest of an archive was unpacked to: one small file for each. */
import { callResult } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CREAT, O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { listDir } from "../../../ffi/directory.ts"
import { close, exists, mkdirAll, open, stat, unlink } from "../../../ffi/fs.ts"
import { tryLock } from "../../../ffi/lock.ts"
import type { Paths } from "../../paths.ts"
import { type FileLock, readJson, removeHalfWritten, tryLockFile, writeAtOnce } from "../../state-file.ts"

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

/** The record of a source; null where there is none. */
export function readSource(paths: Paths, kind: SourceKind, name: string): SourceRecord | null {
  const record = readJson<SourceRecord>(`${sourceBase(paths, kind, name)}.json`)
  return record?.kind === kind && record.name === name ? record : null
}

/** Writes or replaces a source's record. After a power cut one may be gone: the source is unpacked again. */
export function writeSource(paths: Paths, record: SourceRecord): void {
  const path = `${sourceBase(paths, record.kind, record.name)}.json`
  writeAtOnce(path, new TextEncoder().encode(JSON.stringify(record)))
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
    removeHalfWritten(path)
    if (name.endsWith(".lock")) removeStaleLock(path)
    if (!name.endsWith(".json")) return []
    const record = readJson<SourceRecord>(path)
    return record === null ? [] : [{ ...record, used: stat(path)?.mtime ?? 0 }]
  })
}

/** Forgets a source. */
export function removeSource(paths: Paths, kind: SourceKind, name: string): void {
  unlink(`${sourceBase(paths, kind, name)}.json`)
}

/** Takes the right to fetch and unpack a source, without waiting; null where another toybox has it. */
export function tryLockSource(paths: Paths, kind: SourceKind, name: string): FileLock | null {
  mkdirAll(paths.sources, 0o700)
  return tryLockFile(`${sourceBase(paths, kind, name)}.lock`)
}

function removeStaleLock(path: string): void {
  if (!exists(path)) return
  const fd = open(path, O_RDWR | O_CREAT, 0o600)
  if (tryLock(fd)) unlink(path)
  close(fd)
}
