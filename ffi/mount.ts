/** Mounts that are attached nowhere, and gone when their descriptors are: fsopen(2). */
import { call } from "./call.ts"
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
} from "./constants/mount.ts"
import { close } from "./fs.ts"

/** A new file system with these parameters (null: a flag) and attributes of the mount. Throws SyscallError. */
export function mountDetached(
  type: string,
  parameters: Iterable<readonly [key: string, value: string | null]>,
  attributes = 0,
): number {
  const fs = call("fsopen", type, FSOPEN_CLOEXEC)
  try {
    for (const [key, value] of parameters)
      call("fsconfig", fs, value === null ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value, 0)
    call("fsconfig", fs, FSCONFIG_CMD_CREATE, null, null, 0)
    return call("fsmount", fs, FSMOUNT_CLOEXEC, attributes)
  } finally {
    close(fs)
  }
}
