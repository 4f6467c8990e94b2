/** Extended attributes as they are in archives. */
import { callResult, failure, SCRATCH_SIZE, scratch } from "../../../ffi/call.ts"
import { isOverlayAttribute } from "../../overlay/whiteouts.ts"
import { fromBytes, shownName, toName } from "./binary.ts"

const ENODATA = -61

/**
 * The attributes of a name in an open directory, or ("") of what is open, sorted; without those that overlayfs keeps for itself.
 * By way of /proc, for nothing may be opened.
 */
export function xattrsOf(dirFd: number, name: string): [string, string][] {
  // What is open itself is what /proc's link leads to.
  const [list, get] = name === "" ? (["listxattr", "getxattr"] as const) : (["llistxattr", "lgetxattr"] as const)
  const path = toName(`/proc/self/fd/${dirFd}${name === "" ? "" : `/${name}`}`)
  const size = callResult(list, path, scratch.address, SCRATCH_SIZE)
  if (size <= 0) return [] // None, or a file system without them.
  const names = fromBytes(scratch.bytes, 0, size).split("\0").slice(0, -1).sort()
  const found: [string, string][] = []
  for (const attribute of names) {
    if (isOverlayAttribute(attribute)) continue
    const length = callResult(get, path, toName(attribute), scratch.address, SCRATCH_SIZE)
    if (length === ENODATA) continue
    if (length < 0) throw failure(get, length, shownName(name), shownName(attribute))
    found.push([attribute, fromBytes(scratch.bytes, 0, length)])
  }
  return found
}
