/** What is written down of a container is changed by one toybox at a time; flock(2) of its directory, which goes with it. */
import { call } from "../../ffi/call.ts"
import { LOCK_EX, O_DIRECTORY, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import { containerPath } from "./state.ts"

/**
 * Waits until nobody else changes a container; what was read of it before may be old then. Comes before the locks of names and
 * networks, but after that of places, where more are needed. Returns what is to be closed; null where it has been removed.
 */
export function lockChanges(paths: Paths, id: string): number | null {
  let fd: number
  try {
    fd = open(containerPath(paths, id), O_RDONLY | O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null
    throw error
  }
  try {
    call("flock", fd, LOCK_EX)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

/** Waits until who is just changing a container has done. Of one that does not run any more nobody begins to. */
export function awaitChanges(paths: Paths, id: string): void {
  const changes = lockChanges(paths, id)
  if (changes !== null) close(changes)
}
