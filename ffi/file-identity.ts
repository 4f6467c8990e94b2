/** Telling whether a file is still the one that it was: statx(2). */
import { callResult, failure, scratch } from "./call.ts"
import { AT_EMPTY_PATH, AT_FDCWD } from "./constants/fcntl.ts"
import { STATX_BASIC_STATS } from "./constants/stat.ts"

const ENOENT = -2
const ENOTDIR = -20

/**
 * What changes whenever a file does: device, inode, size, and the times of its content and of its inode in nanoseconds.
 * statx(2) of an open file or a path; null where there is nothing.
 */
export function fileIdentity(file: number | string): string | null {
  const [fd, path, flags] = typeof file === "number" ? [file, "", AT_EMPTY_PATH] : [AT_FDCWD, file, 0]
  const result = callResult("statx", fd, path, flags, STATX_BASIC_STATS, scratch.address)
  if (result === ENOENT || result === ENOTDIR) return null
  if (result < 0) throw failure("statx", result, file)
  const time = (at: number) => `${scratch.word(at)}.${String(scratch.u32(at + 8)).padStart(9, "0")}`
  return [scratch.u32(136), scratch.u32(140), scratch.word(32), scratch.word(40), time(112), time(96)].join(":")
}
