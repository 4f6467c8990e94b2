/** A root file system from an archive or an address: fetched, verified and unpacked in one pass, once. */
import { O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { fileIdentity } from "../../ffi/file-identity.ts"
import { close, open, stat } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { type FileLock, releaseLock } from "../state-file.ts"
import { removeAbandonedLayers } from "./cache/layers.ts"
import { findCached } from "./cache/lookup.ts"
import { tryLockSource } from "./cache/sources.ts"
import { type ArchiveOptions, type Job, unpackIncoming } from "./incoming.ts"
import { readFile } from "./layer/read-file.ts"
import { startProgress } from "./progress.ts"
import { type ArchiveSource, cachedRoot } from "./source.ts"

const WAIT = 100

// A file may have any name, and must not speak to the terminal by it.
function shortName({ kind, name }: ArchiveSource): string {
  const path = kind === "file" ? name : name.replace(/[?#].*$/, "")
  return (path.split("/").filter(Boolean).at(-1) ?? "").replace(/\p{Cc}/gu, "?")
}

async function lockSource(job: Job): Promise<FileLock> {
  const { source, paths, quiet, signal, progress } = job
  for (let told = false; ; ) {
    const lock = tryLockSource(paths, source.kind, source.name)
    if (lock !== null) return lock
    if (!told && !quiet) progress.note(`waiting for another toybox that is unpacking ${source.name}`)
    told = true
    await Bun.sleep(WAIT)
    signal.throwIfAborted()
  }
}

// Longer than a tick of the clock that files are stamped by: a change in the same tick would not show in the stamp.
const TICK = 50

async function unpackFile(job: Job): Promise<string> {
  const { name } = job.source
  const fd = open(name, O_RDONLY)
  try {
    const identity = fileIdentity(fd) ?? ""
    const age = Date.now() - Number(identity.split(":").at(-1)) * 1000
    if (age >= 0 && age < TICK) await Bun.sleep(TICK)
    return await unpackIncoming(job, {
      bytes: readFile(fd),
      size: stat(`/proc/self/fd/${fd}`)?.size ?? null,
      record: () => {
        if (fileIdentity(fd) !== identity) {
          throw new ToyboxError(`${name} changed while it was being read`, { hint: "try again when it is complete" })
        }
        return { identity }
      },
    })
  } finally {
    close(fd)
  }
}

/** An error of the system's on the way, in words. */
function explained(error: unknown, source: ArchiveSource): unknown {
  if (!isErrno(error, "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO")) return error
  return new ToyboxError(`cannot unpack ${source.name}`, {
    cause: error,
    hint: isErrno(error, "ENOSPC", "EDQUOT") ? "the disk is full" : undefined,
  })
}

/**
 * Fetches and unpacks a source unless the cache has it; returns its root, which stays until this process ends. Another
 * toybox that is at the same source is waited for. Throws ToyboxError; nothing is left of what failed.
 */
export async function ensureArchive(source: ArchiveSource, paths: Paths, options: ArchiveOptions): Promise<string> {
  removeAbandonedLayers(paths)
  const progress = startProgress(shortName(source), options.quiet)
  const job: Job = { ...options, source, paths, progress }
  let lock: FileLock | null = null
  try {
    lock = await lockSource(job)
    const ready = cachedRoot(source, paths)
    if (ready !== null) return ready
    if (source.kind === "file") {
      const root = await unpackFile(job)
      progress.done(`${source.name}: unpacked`)
      return root
    }
    const { fetchArchive } = await import("./fetch-archive.ts")
    return await fetchArchive(job, findCached(paths, "address", source.name, null))
  } catch (error) {
    progress.stop()
    throw explained(error, source)
  } finally {
    if (lock) releaseLock(lock)
  }
}
