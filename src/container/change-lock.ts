/**
 * What is written down of a container is changed by one toybox at a time; flock(2) of a file that goes with its directory. The lock
 * of the directory is another: who looks into a container may keep it for long (look-into.ts).
 */
import { call, callResult, failure } from "../../ffi/call.ts"
import { AT_FDCWD, LOCK_EX, O_CLOEXEC, O_CREAT, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { close } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import { containerPath } from "./state.ts"

const ENOENT = -2

function lock(paths: Paths, id: string, flags: number): number | null {
  const path = `${containerPath(paths, id)}/changes`
  const fd = callResult("openat", AT_FDCWD, path, O_RDONLY | O_CLOEXEC | flags, 0o600)
  if (fd === ENOENT) return null
  if (fd < 0) throw failure("openat", fd, AT_FDCWD, path)
  try {
    call("flock", fd, LOCK_EX)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

/**
 * Waits until nobody else changes a container; what was read of it before may be old then. Comes before the locks of names and
 * networks, but after that of places, where more are needed. Returns what is to be closed; null where it has been removed.
 */
export const lockChanges = (paths: Paths, id: string): number | null => lock(paths, id, O_CREAT)

/** Waits until who is just changing a container has done. Of one that does not run any more nobody begins to. */
export function awaitChanges(paths: Paths, id: string): void {
  const changes = lock(paths, id, 0)
  if (changes !== null) close(changes)
}
