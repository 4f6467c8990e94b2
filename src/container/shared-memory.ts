/** POSIX shared memory of a container that shares another's IPC namespace: shm_overview(7) has it in a file system, not in that. */
import { call } from "../../ffi/call.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts"
import { OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../ffi/constants/mount.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close } from "../../ffi/fs.ts"
import { OPEN_HOW_SIZE, openHow } from "../../ffi/structs.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import { inMountNamespace } from "./mount-namespace.ts"

/**
 * The /dev/shm of the container with this first process, attached nowhere, for the mount of the spec that it takes the place
 * of. Nothing where the user has another mount there, or that container has none.
 */
export function sharedMemory(spec: Spec, pid: number): Map<Mount, number> {
  const mount = spec.mounts.find(({ destination, source }) => destination === "/dev/shm" && source === "shm")
  if (!mount) return new Map()
  const how = openHow(O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_NO_SYMLINKS)
  try {
    const fd = inMountNamespace(`/proc/${pid}/ns/mnt`, () => {
      const place = call("openat2", AT_FDCWD, "/dev/shm", how, OPEN_HOW_SIZE)
      try {
        return call("open_tree", place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
      } finally {
        close(place)
      }
    })
    return new Map([[mount, fd]])
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error
    return new Map()
  }
}
