/** Times with their nanoseconds, which stat of ffi/fs.ts rounds. */
import { scratch } from "../../../ffi/call.ts"
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from "../../../ffi/constants/fcntl.ts"
import { type Stat, stat } from "../../../ffi/fs.ts"
import { toName } from "./binary.ts"

export interface ExactStat extends Stat {
  /** Seconds since 1970, rounded down. */
  mtime: number
  mtimeNanoseconds: number
  /** Of 512 bytes, that it takes on the disk. */
  blocks: number
}

/** statx(2) of a name in an open directory, itself, or ("") of what is open; null where there is nothing. */
export function exactStat(dirFd: number, name: string): ExactStat | null {
  const found = stat(toName(name), AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, dirFd)
  // The memory still holds what the call has left: struct statx, stx_blocks and stx_mtime.
  if (found === null) return null
  return { ...found, blocks: scratch.word(48), mtime: scratch.word(112), mtimeNanoseconds: scratch.u32(120) }
}
