/** The embedded base image: a busybox userland, laid out once in the state directory. */
import { BASE_DIGEST } from "#base/digest.js"
import { call } from "../../ffi/call.ts"
import { AT_FDCWD } from "../../ffi/constants/fcntl.ts"
import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { exists, mkdir, mkdirAll, rename, symlink, writeFile } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { ToyboxError } from "../errors.ts"
import { removeLeftOver } from "../state-file.ts"

/** The reserved name of the base image. */
export const BASE = "base"

/** As build/base-image.ts writes them; parents come first. */
type BaseEntry =
  | { path: string; type: "directory"; mode: number }
  | { path: string; type: "file"; mode: number; content: string }
  | { path: string; type: "file"; mode: number; source: "busybox" }
  | { path: string; type: "symlink"; mode: number; target: string }

/** Where the base image of this executable is, or will be. */
export const basePath = (bases: string): string => `${bases}/${BASE_DIGEST.slice(0, 16)}`

/** Writes its files into a directory that is there. */
export async function layOut(target: string): Promise<void> {
  // Imported here: only the first run reads them.
  const [{ default: busyboxPath }, { default: manifestPath }] = await Promise.all([
    import("#base/busybox", { with: { type: "file" } }),
    import("#base/base.json", { with: { type: "file" } }),
  ])
  const entries = (await Bun.file(manifestPath).json()) as BaseEntry[]
  const busybox = await Bun.file(busyboxPath).bytes()
  for (const entry of entries) {
    const path = `${target}${entry.path}`
    if (entry.type === "directory") mkdir(path, 0o755)
    else if (entry.type === "symlink") symlink(entry.target, path)
    else writeFile(path, "source" in entry ? busybox : entry.content)
    // Apart from the creation: the umask would take bits away.
    if (entry.type !== "symlink") call("fchmodat", AT_FDCWD, path, entry.mode, 0)
  }
}

/** Removes the halves of base images that a killed toybox has left. */
export function removeAbandonedBases(bases: string): void {
  for (const name of listDir(bases)) removeLeftOver(bases, name)
}

/**
 * Lays the base image out below `bases` unless that has been done; returns its path. Killed at any instant it leaves no
 * half image: the directory appears by rename.
 */
export async function ensureBase(bases: string): Promise<string> {
  const path = basePath(bases)
  if (exists(path)) return path
  removeAbandonedBases(bases)
  const temporary = `${bases}/.${path.slice(bases.length + 1)}.${process.pid}`
  try {
    mkdirAll(temporary, 0o755)
    await layOut(temporary)
    call("fchmodat", AT_FDCWD, temporary, 0o755, 0)
    rename(temporary, path)
  } catch (error) {
    removeTree(temporary)
    // Another toybox was faster.
    if (isErrno(error, "EEXIST", "ENOTEMPTY") && exists(path)) return path
    throw new ToyboxError(`cannot lay out the base image in ${bases}`, {
      cause: error,
      hint: isErrno(error, "ENOSPC") ? "the disk is full" : undefined,
    })
  }
  return path
}
