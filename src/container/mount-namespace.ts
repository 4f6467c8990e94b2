/** A look into the mount namespace of others: setns(2). */
import { call } from "../../ffi/call.ts"
import { O_DIRECTORY, O_PATH, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { CLONE_FS, CLONE_NEWNS } from "../../ffi/constants/sched.ts"
import { close, open } from "../../ffi/fs.ts"

/** Does something with the mounts of a namespace, by its file. This thread alone goes there, and comes back to where it was. */
export function inMountNamespace<Result>(path: string, act: () => Result): Result {
  const opened = [open(path, O_RDONLY), open("/proc/self/ns/mnt", O_RDONLY)] as const
  const places = ["/", "."].map((place) => open(place, O_PATH | O_DIRECTORY))
  const [root = -1, directory = -1] = places
  const [theirs, own] = opened
  try {
    call("unshare", CLONE_FS)
    call("setns", theirs, CLONE_NEWNS)
    try {
      return act()
    } finally {
      call("setns", own, CLONE_NEWNS)
      call("fchdir", root)
      call("chroot", ".")
      call("fchdir", directory)
    }
  } finally {
    for (const fd of [...opened, ...places]) close(fd)
  }
}
