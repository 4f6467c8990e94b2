/** An archive of images from a file or a pipe, made ready to be read in any order. */
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { S_IFDIR, S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open, stat, writeAll } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { decompress, isCompressed } from "../layer/decompress.ts"
import { LimitError } from "../layer/errors.ts"
import { createBudget, DEFAULT_LIMITS } from "../layer/limits.ts"
import { readFile } from "../layer/read-file.ts"
import { openWorkspace, type Workspace } from "../store/workspace.ts"
import { archiveMembers, type ImageFiles, readAt } from "./members.ts"

export interface OpenArchive {
  files: ImageFiles
  /** Closes it, and removes what was made to read it. */
  close(): void
}

export interface OpenOptions {
  paths: Paths
  signal: AbortSignal
}

/**
 * Writes a stream, decompressed, to a file in a directory of its own that a killed toybox leaves to the next one: what comes
 * last in an archive says what the rest is.
 */
async function spool(source: AsyncIterable<Uint8Array>, name: string, { paths, signal }: OpenOptions) {
  const workspace = openWorkspace(paths)
  let fd = -1
  try {
    fd = open(`${workspace.path}/archive`, O_RDWR | O_CREAT | O_EXCL, 0o600)
    const budget = createBudget(DEFAULT_LIMITS, fd)
    let compressed = 0
    async function* counted() {
      for await (const part of source) {
        signal.throwIfAborted()
        compressed += part.length
        yield part
      }
    }
    for await (const part of decompress(counted(), name)) {
      budget.stream(part.length, compressed)
      writeAll(fd, part)
    }
    return { fd, workspace }
  } catch (error) {
    if (fd >= 0) close(fd)
    workspace.remove()
    if (error instanceof LimitError) throw new ToyboxError(`${name} is refused: ${error.message}`, { hint: error.hint })
    if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error
    throw new ToyboxError(`cannot read ${name}`, { cause: error, hint: "the disk is full" })
  }
}

const LONGEST_MAGIC = 6

/** Opens the archive at a path, or (null) on standard input; plain, gzip or zstd. Throws ToyboxError. */
export async function openImageArchive(path: string | null, options: OpenOptions): Promise<OpenArchive> {
  const name = path ?? "the archive on standard input"
  const source = path === null ? 0 : openFile(path)
  let fd = source
  let workspace: Workspace | null = null
  const end = () => {
    if (fd !== 0) close(fd)
    workspace?.remove()
  }
  try {
    const type = (stat(`/proc/self/fd/${source}`)?.mode ?? 0) & S_IFMT
    if (type === S_IFDIR)
      throw new ToyboxError(`${name} is a directory`, { hint: `an OCI layout is named oci:${path}` })
    if (path === null || type !== S_IFREG || isCompressed(readAt(source, 0, LONGEST_MAGIC))) {
      ;({ fd, workspace } = await spool(readFile(source), name, options))
      if (source !== 0) close(source)
    }
    return { files: archiveMembers(fd, name), close: end }
  } catch (error) {
    end()
    throw error
  }
}

function openFile(path: string): number {
  try {
    return open(path, O_RDONLY)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) throw new ToyboxError(`${path}: there is no such file`)
    throw error
  }
}
