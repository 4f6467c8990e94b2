/** A layer, or an archive of a root file system, from a stream into a directory. */
import { call } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { listEntries } from "../../../ffi/directory.ts"
import { isErrno, SyscallError } from "../../../ffi/errno.ts"
import { close } from "../../../ffi/fs.ts"
import { emptyDirectory } from "../../../ffi/remove-tree.ts"
import { errorChain, ToyboxError } from "../../errors.ts"
import { BadBytes } from "../digest.ts"
import { shownName } from "./binary.ts"
import { decompress } from "./decompress.ts"
import { EntryError, LimitError } from "./errors.ts"
import { createBudget, DEFAULT_LIMITS, type UnpackLimits } from "./limits.ts"
import { createPlacer } from "./place.ts"
import { createSkeleton, isKept, type SkeletonWriter } from "./skeleton.ts"
import { TarError, type TarSink } from "./tar/entry.ts"
import { createTarReader } from "./tar/reader.ts"

export interface UnpackOptions {
  /** For errors: the file or address. */
  name: string
  /** An existing empty directory (absolute path). */
  target: string
  /** "overlay": .wh. entries become overlayfs whiteouts and opaque directories (image layers); "none": they are files. */
  whiteouts: "overlay" | "none"
  limits?: Partial<UnpackLimits>
  /** The stream's digest will be compared: it may lack an archive's end, as a few programs leave it out. */
  endless?: boolean
  /** A directory (absolute path) to keep what the stream can be made again from: skeleton.ts. */
  skeleton?: string
  /** Called with the bytes unpacked so far, about once a megabyte. */
  progress?: (bytes: number) => void
}

export interface UnpackResult {
  /** sha256:<hex> of the tar stream. */
  diffId: string
  /** Of the tar stream. */
  bytes: number
  entries: number
}

/** What happened, as one error. `path` is the entry that was being unpacked. */
function explained(error: unknown, name: string, path: string | null): unknown {
  const hint = (text: string | undefined) => ({ hint: text })
  if (error instanceof TarError) return new BadBytes(`${name} ${error.message}`)
  if (error instanceof LimitError) return new ToyboxError(`${name} is refused: ${error.message}`, hint(error.hint))
  const entry = path === null ? "" : `: the entry ${shownName(path)}`
  if (error instanceof EntryError) return new BadBytes(`${name} is refused${entry}: ${error.message}`)
  if (!(error instanceof SyscallError)) return error
  const isFull = isErrno(error, "ENOSPC", "EDQUOT")
  const remedy = isFull ? "the disk is full" : isErrno(error, "EPERM", "EACCES") ? "unpacking takes root" : undefined
  return new ToyboxError(`cannot unpack ${name}${entry}`, { cause: error, ...hint(remedy) })
}

/** Removes what a failed unpack has left; both failures are told where that fails, too. */
function undo(rootFd: number, target: string, error: unknown): never {
  try {
    emptyDirectory(rootFd)
  } catch (second) {
    throw new ToyboxError(`${errorChain(error)}; and ${target} could not be emptied`, { cause: second })
  }
  throw error
}

/** The sink, with a note of which entry it is at, and its cost. */
function watched(sink: TarSink, before: (path: string, size: number) => void): TarSink {
  return {
    entry(entry, content) {
      before(entry.path, entry.size)
      sink.entry(entry, content)
    },
    data: sink.data,
    end: sink.end,
  }
}

/** The sink, with the skeleton told of the contents that it has taken. */
function recorded(sink: TarSink, skeleton: SkeletonWriter): TarSink {
  let kept = false
  return {
    entry(entry, content) {
      kept = isKept(entry)
      sink.entry(entry, content)
      if (!kept) return
      if (content !== null && content.length > 0) skeleton.leaveOut(content)
      skeleton.count()
    },
    data(bytes) {
      if (kept) skeleton.leaveOut(bytes)
      sink.data(bytes)
    },
    end: sink.end,
  }
}

/**
 * Decompresses and unpacks in one pass; what is refused and what is contained is said in place.ts. On any failure
 * everything in `target` is removed before it throws ToyboxError (or what the source threw).
 */
export async function unpackLayer(source: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<UnpackResult> {
  const { name, target } = options
  const rootFd = call("openat", AT_FDCWD, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  try {
    // What was there before would be removed after a failure.
    if (listEntries(rootFd).length > 0) throw new ToyboxError(`cannot unpack ${name}: ${target} is not empty`)
    return await unpackInto(rootFd, source, options)
  } finally {
    close(rootFd)
  }
}

async function unpackInto(rootFd: number, source: AsyncIterable<Uint8Array>, options: UnpackOptions) {
  const budget = createBudget({ ...DEFAULT_LIMITS, ...options.limits }, rootFd)
  const skeleton = options.skeleton === undefined ? null : createSkeleton(options.skeleton)
  const placer = createPlacer(rootFd, options.whiteouts === "overlay", skeleton)
  const hash = new Bun.CryptoHasher("sha256")
  let path: string | null = null
  let compressed = 0
  const reader = createTarReader(
    watched(skeleton === null ? placer : recorded(placer, skeleton), (current, size) => {
      path = current
      budget.entry(size, current.length)
    }),
  )
  async function* counted() {
    for await (const chunk of source) {
      compressed += chunk.length
      yield chunk
    }
  }
  try {
    for await (const chunk of decompress(counted(), options.name)) {
      budget.stream(chunk.length, compressed)
      hash.update(chunk)
      skeleton?.begin(chunk)
      reader.push(chunk)
      skeleton?.end()
      options.progress?.(reader.position())
    }
    reader.finish(options.endless)
    path = null
    placer.finish()
    skeleton?.finish()
  } catch (error) {
    placer.close()
    undo(rootFd, options.target, explained(error, options.name, path))
  } finally {
    skeleton?.close()
  }
  placer.close()
  return { diffId: `sha256:${hash.digest("hex")}`, bytes: reader.position(), entries: budget.entries() }
}
