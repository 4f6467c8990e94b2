/** Removing what is kept of containers. */

import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { rename } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import type { Paths } from "../paths.ts"
import { removeLeftOver } from "../state-file.ts"
import { releaseName } from "./name.ts"
import { containerPath } from "./state.ts"

/**
 * Removes all that is kept of a container, at one stroke: who reads its files can tell afterwards that all were there. The name
 * goes first: nothing else tells, once the record is gone, whose it was. Others may be at it, too: who renames the directory has it.
 */
export function forget(paths: Paths, id: string, name: string): void {
  releaseName(paths, name, id)
  const trash = `${paths.containers}/.${id}.${process.pid}`
  try {
    rename(containerPath(paths, id), trash)
  } catch (error) {
    if (isErrno(error, "ENOENT")) return
    throw error
  }
  removeTree(trash)
}

/** Removes what a killed toybox had been discarding. */
export function emptyTrash(paths: Paths): void {
  for (const name of listDir(paths.containers))
    if (/^\.[0-9a-f]{64}\./.test(name)) removeLeftOver(paths.containers, name)
}
