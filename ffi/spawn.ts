/** Another toybox, that this one does not wait for: posix_spawn(3). */
import { call, callResult, scratch } from "./call.ts"
import { strings } from "./calls.ts"
import { F_SETFD, FD_CLOEXEC } from "./constants/fcntl.ts"
import { listDir } from "./directory.ts"

/** Keeps what this process has inherited from its own children: all but standard input, output and error. */
export function closeOnExec(): void {
  for (const fd of listDir("/proc/self/fd")) if (Number(fd) > 2) callResult("fcntl", Number(fd), F_SETFD, FD_CLOEXEC)
}

/**
 * Starts this executable with other words; its pid, or 0 where there is no memory, or no process, for it. `fds` stay open in
 * it under their numbers, of others only those that are not close-on-exec.
 */
export function spawnSelf(args: readonly string[], env: readonly string[], fds: readonly number[] = []): number {
  for (const fd of fds) call("fcntl", fd, F_SETFD, 0)
  try {
    const error = callResult("posix_spawn", scratch.address, "/proc/self/exe", null, null, strings(args), strings(env))
    return error === 0 ? scratch.i32(0) : 0
  } finally {
    for (const fd of fds) call("fcntl", fd, F_SETFD, FD_CLOEXEC)
  }
}
