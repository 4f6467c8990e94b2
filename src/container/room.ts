/** Room for what a start writes down. */
import { isErrno } from "../../ffi/errno.ts"
import { unlink, writeFile } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { containerPath } from "./state.ts"

const NEEDED = 64 * 1024

/** Throws ToyboxError where a container could not be started for want of room on a disk, or because it is read-only. */
export function requireRoom(paths: Paths, id: string): void {
  for (const directory of [containerPath(paths, id), paths.run]) {
    const path = `${directory}/.room.${process.pid}`
    try {
      writeFile(path, new Uint8Array(NEEDED))
    } catch (error) {
      if (!isErrno(error, "ENOSPC", "EDQUOT", "EROFS")) throw error
      throw new ToyboxError(`container ${id.slice(0, 12)} could not be started again, and is not stopped`, {
        cause: error,
      })
    } finally {
      unlink(path)
    }
  }
}
