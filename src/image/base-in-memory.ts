/** The base image where nothing may be changed: for --explain, before the first run has laid it out. */
import { isErrno } from "../../ffi/errno.ts"
import { exists } from "../../ffi/fs.ts"
import { mountDetached } from "../../ffi/mount.ts"
import { basePath, layOut } from "./base.ts"

/**
 * Lays it out in a tmpfs that is mounted nowhere, and goes with this process; returns a descriptor of its root. Null where it is
 * below `bases` already, and for ordinary users, who may not mount.
 */
export async function baseInMemory(bases: string): Promise<number | null> {
  if (exists(basePath(bases))) return null
  let root: number
  try {
    root = mountDetached("tmpfs", [])
  } catch (error) {
    if (isErrno(error, "EPERM")) return null
    throw error
  }
  await layOut(`/proc/self/fd/${root}`)
  return root
}
