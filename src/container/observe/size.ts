/** What a container takes on the disk beside its image. */
import { callResult } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { listEntries } from "../../../ffi/directory.ts"
import { close, isDirectory, lstat } from "../../../ffi/fs.ts"
import { overlayLayout } from "../../overlay/layout.ts"
import type { Paths } from "../../paths.ts"
import { containerPath } from "../state.ts"

function sizeBelow(fd: number, seen: Set<string>): number {
  let total = 0
  for (const { name } of listEntries(fd)) {
    const stat = lstat(name, fd)
    if (stat === null) continue // Gone since it was listed.
    if (isDirectory(stat)) {
      const inner = callResult("openat", fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
      if (inner < 0) continue
      total += sizeBelow(inner, seen)
      close(inner)
      continue
    }
    const key = `${stat.dev}/${stat.ino}`
    if (stat.nlink === 1 || !seen.has(key)) total += stat.size
    if (stat.nlink > 1) seen.add(key)
  }
  return total
}

/** Bytes of the files that a container has written, as docker counts them. */
export const writtenBytes = (paths: Paths, id: string): number =>
  bytesBelow(overlayLayout(containerPath(paths, id)).upper)

/** Bytes of the files below a directory, with their holes, links once; 0 where it is not there. */
export function bytesBelow(path: string): number {
  const fd = callResult("openat", AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  if (fd < 0) return 0
  try {
    return sizeBelow(fd, new Set())
  } finally {
    close(fd)
  }
}
