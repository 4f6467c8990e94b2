/** Directories of which nothing but times or attributes has changed: docker has them in a commit, and not in a diff. */

import { callResult } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { close } from "../../ffi/fs.ts"
import type { Retouched } from "../container/observe/changes.ts"
import { toName } from "../image/layer/binary.ts"
import { exactStat } from "../image/layer/exact-stat.ts"
import { xattrsOf } from "../image/layer/xattrs.ts"

/** Whether an open directory has other attributes, or another time, than the one below. */
export const isRetouched: Retouched = (fd, below, isOwn) => {
  const under = callResult("openat", AT_FDCWD, toName(below), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
  if (under < 0) return false
  try {
    const [now, before] = [exactStat(fd, ""), exactStat(under, "")]
    const isLater = now?.mtime !== before?.mtime || now?.mtimeNanoseconds !== before?.mtimeNanoseconds
    // What was put into it has changed its time.
    return (isLater && !isOwn) || !Bun.deepEquals(xattrsOf(fd, ""), xattrsOf(under, ""))
  } finally {
    close(under)
  }
}
