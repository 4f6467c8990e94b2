/** Files between this machine and a container, as one tar stream from one tree to the other. */

import { isErrno, SyscallError } from "../../ffi/errno.ts"
import { close } from "../../ffi/fs.ts"
import { lookInto } from "../container/look-into.ts"
import { containerPath } from "../container/state.ts"
import { fillStopped } from "../container/volumes.ts"
import { ToyboxError } from "../errors.ts"
import { shownName } from "../image/layer/binary.ts"
import { EntryError } from "../image/layer/errors.ts"
import { exactStat } from "../image/layer/exact-stat.ts"
import { type TarEntry, TarError, type TarSink } from "../image/layer/tar/entry.ts"
import { createTarReader } from "../image/layer/tar/reader.ts"
import { writeTree } from "../image/layer/writer.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import type { Address } from "./address.ts"
import { splitPath } from "./address.ts"
import type { Target } from "./directories.ts"
import { type CopyPlacer, createCopyPlacer } from "./place.ts"
import { stoppedTree } from "./stopped.ts"
import {
  containerTree,
  findDestination,
  hostTree,
  openDirectory,
  openSource,
  type Source,
  shownPath,
  type Tree,
} from "./tree.ts"

export interface CopyRequest {
  from: Exclude<Address, { kind: "stream" }>
  to: Exclude<Address, { kind: "stream" }>
  /** Owners stay what they are, as numbers. */
  archive: boolean
  /** The symlink that the source may be is followed. */
  follow: boolean
  /** Aborted: what was being written goes. */
  signal: AbortSignal
}

/** Opens an end. Throws ToyboxError. */
async function openTree(paths: Paths, address: CopyRequest["from"]): Promise<{ tree: Tree; close(): void }> {
  if (address.kind === "host") return { tree: hostTree, close() {} }
  const { container } = address
  const found = await lookInto(paths, container)
  const { rootFd, running } = found
  if (running)
    return { tree: containerTree((path) => ({ rootFd, path, readOnly: false }), container), close: found.close }
  try {
    if (found.record.volumes) await fillStopped(paths, found.record, rootFd)
  } catch (error) {
    found.close()
    throw error
  }
  const stopped = stoppedTree(found, containerPath(paths, found.record.id), container)
  return {
    tree: stopped.tree,
    close() {
      stopped.close()
      found.close()
    },
  }
}

/** Where the entries of a copy go, in a directory that is there. Throws ToyboxError. */
function targetIn(tree: Tree, directory: string, directoryFd: number): Target {
  if (tree.locate === null) return { rootFd: directoryFd, directory: "", follow: false }
  const { rootFd, path, readOnly } = tree.locate(directory)
  if (readOnly) throw new ToyboxError(`${shownPath(tree, directory)} is read-only`)
  return { rootFd, directory: path, follow: true }
}

const SET_ID = 0o6000

/**
 * What an entry becomes. Without `archive` everything is root's. With another owner a program must not have the rights that
 * the set-id bits give it; what comes out of a container brings no rights, and no devices, to this machine.
 */
function adjustment(toHost: boolean, archive: boolean): (entry: TarEntry) => TarEntry | null {
  if (archive) return (entry) => entry
  return (entry) => {
    if (toHost && (entry.type === "character" || entry.type === "block")) {
      notice(`${shownName(entry.path)} is left out: a device comes with --archive only`)
      return null
    }
    const isOther = entry.uid !== 0 || entry.gid !== 0
    const mode = entry.type === "file" && (isOther || toHost) ? entry.mode & ~SET_ID : entry.mode
    const xattrs = toHost
      ? new Map([...(entry.xattrs ?? [])].filter(([name]) => name.startsWith("user.")))
      : entry.xattrs
    return { ...entry, uid: 0, gid: 0, mode, xattrs }
  }
}

/** The sink, with a note of where it is for errors; the content of files is counted. */
function watched(sink: TarSink, note: (path: string) => void, count: (bytes: number) => void): TarSink {
  return {
    entry(entry, content) {
      note(entry.path)
      count(content?.length ?? 0)
      sink.entry(entry, content)
    },
    data(bytes) {
      count(bytes.length)
      sink.data(bytes)
    },
    end: sink.end,
  }
}

/** What happened, as one error; `path` is what was being copied. */
function explained(error: unknown, to: string, path: string | null): unknown {
  const what = path === null ? to : `${shownName(path)} to ${to}`
  if (error instanceof TarError) return new ToyboxError(`the archive ${error.message}`)
  if (error instanceof EntryError) return new ToyboxError(`cannot copy ${what}: ${error.message}`)
  if (!(error instanceof SyscallError)) return error
  if (isErrno(error, "ENOSPC", "EDQUOT"))
    return new ToyboxError(`cannot copy ${what}: the disk is full (${error.errno})`, {
      hint: "what was copied before is whole",
    })
  if (isErrno(error, "EROFS")) return new ToyboxError(`cannot copy ${what}: it is read-only there`)
  return new ToyboxError(`cannot copy ${what}`, { cause: error })
}

const CHUNKS_BETWEEN = 64

/** Puts a stream of tar into a directory of a tree; returns the bytes of its files. */
async function placeStream(
  stream: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  placer: CopyPlacer,
  to: string,
  signal: AbortSignal,
): Promise<number> {
  let path: string | null = null
  let bytes = 0
  const note = (current: string) => {
    path = current
  }
  const count = (more: number) => {
    bytes += more
  }
  const reader = createTarReader(watched(placer, note, count))
  try {
    let chunks = 0
    for await (const chunk of stream) {
      reader.push(chunk)
      // Signals have their turn.
      if (++chunks % CHUNKS_BETWEEN === 0) await new Promise(setImmediate)
      signal.throwIfAborted()
    }
    reader.finish()
    path = null
    placer.finish()
  } catch (error) {
    throw explained(error, to, path)
  } finally {
    placer.close()
  }
  return bytes
}

const identity = (dirFd: number, name: string): string => {
  const stat = exactStat(dirFd, name)
  return stat === null ? "" : `${stat.dev}/${stat.ino}`
}

async function place(to: Tree, source: Source, { to: address, archive, signal }: CopyRequest): Promise<number> {
  const { directory, name } = findDestination(to, address.path, source)
  const directoryFd = openDirectory(to, directory)
  // What is copied into itself would never end.
  const start = identity(source.dirFd, source.name)
  const end = identity(directoryFd, ".")
  let placer: CopyPlacer
  const omits = (stat: { dev: string; ino: number }) => {
    const key = `${stat.dev}/${stat.ino}`
    return key === placer.top() || (key === end && key !== start)
  }
  try {
    placer = createCopyPlacer(targetIn(to, directory, directoryFd), adjustment(to === hostTree, archive))
    const stream = writeTree({ ...source, path: name }, { whiteouts: "none", sparse: true, omits })
    return await placeStream(stream, placer, shownPath(to, address.path), signal)
  } finally {
    close(directoryFd)
  }
}

/** Copies; returns the bytes of the files. Throws ToyboxError. */
export async function copy(paths: Paths, request: CopyRequest): Promise<number> {
  const from = await openTree(paths, request.from)
  try {
    const source = openSource(from.tree, request.from.path, request.follow)
    try {
      const to = await openTree(paths, request.to)
      try {
        return await place(to.tree, source, request)
      } finally {
        to.close()
      }
    } finally {
      close(source.dirFd)
    }
  } finally {
    from.close()
  }
}

/** As a tar stream, owners and all. Throws ToyboxError. */
export async function* copyOut(paths: Paths, from: CopyRequest["from"], follow: boolean): AsyncGenerator<Uint8Array> {
  const { tree, close: closeTree } = await openTree(paths, from)
  try {
    const source = openSource(tree, from.path, follow)
    try {
      yield* writeTree(source, { whiteouts: "none" })
    } finally {
      close(source.dirFd)
    }
  } finally {
    closeTree()
  }
}

/** A tar stream, plain, into a directory of a container that is there; returns the bytes of its files. Throws ToyboxError. */
export async function copyIn(
  paths: Paths,
  stream: AsyncIterable<Uint8Array>,
  to: Extract<Address, { kind: "container" }>,
  signal: AbortSignal,
): Promise<number> {
  const { tree, close: closeTree } = await openTree(paths, to)
  try {
    const { whole } = splitPath(to.path)
    const directoryFd = openDirectory(tree, whole)
    try {
      const placer = createCopyPlacer(targetIn(tree, whole, directoryFd), (entry) => entry)
      return await placeStream(stream, placer, shownPath(tree, whole), signal)
    } finally {
      close(directoryFd)
    }
  } finally {
    closeTree()
  }
}
