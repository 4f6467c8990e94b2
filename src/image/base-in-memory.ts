/** The base image where nothing may be changed: for --explain, before the first run has laid it out. */
import { call } from "../../ffi/call.ts"
import { FSCONFIG_CMD_CREATE, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from "../../ffi/constants/mount.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, exists } from "../../ffi/fs.ts"
import { basePath, layOut } from "./base.ts"

/**
 * Lays it out in a tmpfs that is mounted nowhere, and goes with this process; returns a descriptor of its root. Null where it is
 * below `bases` already, and for ordinary users, who may not mount.
 */
export async function baseInMemory(bases: string): Promise<number | null> {
  if (exists(basePath(bases))) return null
  let fs: number
  try {
    fs = call("fsopen", "tmpfs", FSOPEN_CLOEXEC)
  } catch (error) {
    if (isErrno(error, "EPERM")) return null
    throw error
  }
  try {
    call("fsconfig", fs, FSCONFIG_CMD_CREATE, null, null, 0)
    const root = call("fsmount", fs, FSMOUNT_CLOEXEC, 0)
    await layOut(`/proc/self/fd/${root}`)
    return root
  } finally {
    close(fs)
  }
}
