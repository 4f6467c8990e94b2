/** Times with their nanoseconds, which stat of ffi/fs.ts rounds. */
import { scratch } from "../../../ffi/call.ts"
import { lstat, type Stat } from "../../../ffi/fs.ts"
import { toName } from "./binary.ts"

export interface ExactStat extends Stat {
  /** Seconds since 1970, rounded down. */
  mtime: number
  mtimeNanoseconds: number
}

/** statx(2) of a name in an open directory, itself; null where there is nothing. */
export function exactStat(dirFd: number, name: string): ExactStat | null {
  const stat = lstat(toName(name), dirFd)
  // The memory still holds what the call has left: struct statx, stx_mtime.
  return stat === null ? null : { ...stat, mtime: scratch.word(112), mtimeNanoseconds: scratch.u32(120) }
}
