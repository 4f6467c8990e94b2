/** The container's procfs, which nothing may be mounted over: CVE-2019-16884. */
import { at, type Call, out, slot } from "../../../ffi/calls.ts"
import { AT_EMPTY_PATH } from "../../../ffi/constants/fcntl.ts"
import { STATX_BASIC_STATS } from "../../../ffi/constants/stat.ts"
import { isSystemPath, TARGET } from "./root.ts"

export const PROC = slot("proc")
/** Nothing's, before there is a procfs: what is mounted on its place then is covered by it. */
const DEVICE = slot("proc's device")

const FOUND = out("mount point", 256)
const STX_DEV = 136

/** To be called when it is PROC. */
export const rememberProc = (): Call[] => [
  { name: "statx", args: [PROC, "", AT_EMPTY_PATH, STATX_BASIC_STATS, FOUND] },
  { name: "load", args: [at(FOUND, STX_DEV), -1], into: DEVICE },
]

/**
 * Fails where TARGET is in it, as symbolic links of the root may lead there. (What is named below /proc was looked at by its
 * name, and no link is followed on the way.)
 */
export const notInProc = (path: string): Call[] =>
  isSystemPath(path)
    ? []
    : [
        { name: "statx", args: [TARGET, "", AT_EMPTY_PATH, STATX_BASIC_STATS, FOUND] },
        { name: "load", args: [at(FOUND, STX_DEV), -1, 0, DEVICE], fails: "null" },
      ]
