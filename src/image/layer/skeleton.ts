/**
 * What is kept of a layer's tar stream beside its files, so that the same stream can be made again to the last bit
 * (rebuild.ts): all of it but the content of files, which is in the unpacked tree. As tar-split does it; but what is kept is
 * the stream itself, compressed, to be read by the tar reader again.
 *
 * In the layer's directory, beside `root`:
 * - tar.zst: the stream without the contents of files.
 * - moved/N and moved.json, where there is need: files that a later entry of the stream has replaced, and files that were
 *   unpacked elsewhere than where their entry says, because a symlink led there.
 */
import { call } from "../../../ffi/call.ts"
import { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { S_IFDIR, S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { close, lstat, mkdir, open, writeAll, writeFile } from "../../../ffi/fs.ts"
import { toName } from "./binary.ts"
import { LimitError } from "./errors.ts"
import type { TarEntry } from "./tar/entry.ts"
import { meaningOf } from "./whiteouts.ts"

/** moved.json. Files are counted in the order of the stream; paths are binary strings. */
export interface Moved {
  /** What was at `path` until the file number `before` came is in moved/N, N being its place in this list. */
  aside: { path: string; before: number }[]
  /** By number: where a file is, if not where its entry says. */
  elsewhere: [file: number, path: string][]
}

export const SKELETON = "tar.zst"
export const MOVED = "moved"
export const MOVED_LIST = "moved.json"

/** Whether an entry's content is a file of the tree; marks of what is hidden are not. */
export function isKept({ type, path }: TarEntry): boolean {
  if (type !== "file") return false
  if (!path.includes(".wh.")) return true
  const name = path.split("/").findLast((component) => component !== "" && component !== ".")
  return name === undefined || meaningOf(name).kind === "file"
}

export interface SkeletonWriter {
  /** Before a piece of the stream is read. */
  begin(chunk: Uint8Array): void
  /** A part of that piece is the content of a file that is kept. */
  leaveOut(content: Uint8Array): void
  /** The piece has been read. */
  end(): void
  /** Puts away what is about to be replaced; false where there is nothing in it that must stay. */
  setAside(dirFd: number, name: string, path: string): boolean
  /** The next file is unpacked elsewhere than its entry says. */
  elsewhere(path: string): void
  /** A file has been taken. */
  count(): void
  /** Writes the rest. */
  finish(): void
  close(): void
}

// What is listed of moved files is in memory until the end: so many bytes, with what each costs beside its path.
const MOST_LISTED = 64 * 2 ** 20
const EACH_LISTED = 64
// Larger ones compress no better.
const BUFFER = 1024 * 1024

/** Takes the layer's directory (absolute path), which has the root in it, and nothing of ours yet. */
export function createSkeleton(dir: string): SkeletonWriter {
  const fd = open(`${dir}/${SKELETON}`, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  const buffer = new Uint8Array(BUFFER)
  const moved: Moved = { aside: [], elsewhere: [] }
  let movedFd = -1
  let fill = 0
  let files = 0
  let chunk: Uint8Array = buffer.subarray(0, 0)
  let from = 0
  let listed = 0

  /** Before something is listed. Throws LimitError. */
  function countListed(path: string): void {
    listed += path.length + EACH_LISTED
    if (listed > MOST_LISTED) throw new LimitError("it replaces too many of its own files, or has them behind symlinks")
  }

  function flush(): void {
    if (fill > 0) writeAll(fd, Bun.zstdCompressSync(buffer.subarray(0, fill), { level: 1 }))
    fill = 0
  }

  function keep(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const size = Math.min(BUFFER - fill, bytes.length - at)
      buffer.set(bytes.subarray(at, at + size), fill)
      at += size
      fill += size
      if (fill === BUFFER) flush()
    }
  }

  return {
    begin(bytes) {
      chunk = bytes
      from = 0
    },
    leaveOut(content) {
      const start = content.byteOffset - chunk.byteOffset
      keep(chunk.subarray(from, start))
      from = start + content.length
    },
    end: () => keep(chunk.subarray(from)),
    setAside(dirFd, name, path) {
      const found = lstat(toName(name), dirFd)
      const type = found === null ? 0 : found.mode & S_IFMT
      if (type !== S_IFDIR && (type !== S_IFREG || found?.size === 0)) return false
      if (movedFd < 0) {
        mkdir(`${dir}/${MOVED}`, 0o700)
        movedFd = open(`${dir}/${MOVED}`, O_RDONLY | O_DIRECTORY)
      }
      countListed(path)
      call("renameat", dirFd, toName(name), movedFd, String(moved.aside.length))
      moved.aside.push({ path, before: files })
      return true
    },
    elsewhere(path) {
      countListed(path)
      moved.elsewhere.push([files, path])
    },
    count: () => files++,
    finish() {
      flush()
      if (moved.aside.length + moved.elsewhere.length > 0) {
        writeFile(`${dir}/${MOVED_LIST}`, JSON.stringify(moved))
      }
    },
    close() {
      close(fd)
      if (movedFd >= 0) close(movedFd)
    },
  }
}
