import { isErrno } from "../../ffi/errno.ts"
import { ToyboxError } from "../errors.ts"
import type { CgroupIo } from "./io.ts"

// A killed process leaves its cgroup a moment after it has been waited for.
const PATIENCE = 1000
const FIRST_PAUSE = 0.1
const LONGEST_PAUSE = 20

function tryRemove(dir: string, io: CgroupIo): boolean {
  try {
    io.rmdir(dir)
    return true
  } catch (error) {
    // ENODEV: it is on its way out already.
    if (isErrno(error, "ENOENT", "ENODEV")) return true
    if (isErrno(error, "EBUSY", "ENOTEMPTY")) return false
    throw new ToyboxError(`remove cgroup ${dir}`, { cause: error })
  }
}

/**
 * Removes a cgroup directory and those the container made in it. Normally one rmdir; only where the kernel says EBUSY are
 * children looked for and the call repeated, for up to a second. Gone already is fine. Throws ToyboxError.
 */
export function removeDirectory(dir: string, io: CgroupIo): void {
  if (tryRemove(dir, io)) return
  const deadline = io.now() + PATIENCE
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    io.removeBelow(dir)
    if (tryRemove(dir, io)) return
    if (io.now() > deadline) {
      const pids = io.tryReadText(`${dir}/cgroup.procs`)?.trim().split("\n").join(" ") ?? ""
      throw new ToyboxError(`remove cgroup ${dir}: it is busy${pids && ` with process ${pids}`}`)
    }
    io.sleep(pause)
  }
}
