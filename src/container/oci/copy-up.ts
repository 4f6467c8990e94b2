/** tmpcopyup: a tmpfs that begins with a copy of what is at its place. */
import { call, callResult } from "../../../ffi/call.ts"
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts"
import { close } from "../../../ffi/fs.ts"
import { mountDetached } from "../../../ffi/mount.ts"
import type { IDMapping, Mount, Spec } from "../../oci/runtime.ts"
import { copyTree } from "../../overlay/copy.ts"
import type { MountOptions } from "../../plan/mount-options.ts"
import { openInRootFd } from "../identity.ts"

const DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC

/** What is at the place of a mount by then: of the nearest mount before it, or of the root; less than 0 where there is nothing. */
export function openBelow(mount: Mount, spec: Spec, rootFd: number, made: ReadonlyMap<Mount, number>): number {
  const { destination } = mount
  const above = spec.mounts
    .slice(0, spec.mounts.indexOf(mount))
    .findLast((other) => destination === other.destination || destination.startsWith(`${other.destination}/`))
  if (above === undefined) return openInRootFd(rootFd, destination, DIRECTORY)
  const rest = destination.slice(above.destination.length)
  const fd = made.get(above)
  if (fd !== undefined) return openInRootFd(fd, rest, DIRECTORY)
  // A new file system has nothing yet.
  if (above.type !== "bind") return -1
  const source = callResult("openat", AT_FDCWD, above.source, DIRECTORY, 0)
  if (source < 0) return -1
  try {
    return openInRootFd(source, rest, DIRECTORY)
  } finally {
    close(source)
  }
}

/** The id outside, of one inside. */
export function outside(id: number, mappings: readonly IDMapping[] | undefined): number {
  if (!mappings?.length) return id
  const range = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size)
  return range ? range.hostID + id - range.containerID : id
}

/** The options of the tmpfs, which is made outside of a user namespace that the container has; a number where one is given. */
function translated(data: MountOptions["data"], { linux }: Spec): MountOptions["data"] {
  const { uidMappings, gidMappings } = linux
  return data.map(([key, value]) => {
    if (key === "uid" && value !== null) return [key, String(outside(Number(value), uidMappings))]
    if (key === "gid" && value !== null) return [key, String(outside(Number(value), gidMappings))]
    return [key, value]
  })
}

/** The directory itself: as its options say, or as what was copied; else the container's root's. */
function ownRoot(fd: number, data: MountOptions["data"], copied: boolean, { linux }: Spec): void {
  const given = (key: string) => data.find(([name]) => name === key)?.[1]
  const number = (text: string | null | undefined, without: number) => (text ? Number(text) : without)
  const uid = number(given("uid"), copied ? -1 : outside(0, linux.uidMappings))
  const gid = number(given("gid"), copied ? -1 : outside(0, linux.gidMappings))
  call("fchownat", fd, "", uid, gid, AT_EMPTY_PATH)
  const mode = given("mode")
  if (mode) call("fchmodat", AT_FDCWD, `/proc/self/fd/${fd}/.`, Number.parseInt(mode, 8), 0)
}

/** Makes a tmpfs, attached nowhere, with a copy of the directory `from` where that is 0 or more; returns its descriptor. */
export function makeTmpfs(mount: Mount, options: MountOptions, spec: Spec, from: number): number {
  const data = translated(options.data, spec)
  const fd = mountDetached(mount.type, [["source", mount.source], ...data])
  try {
    if (from >= 0) copyTree(`/proc/self/fd/${from}/.`, `/proc/self/fd/${fd}/.`)
    ownRoot(fd, data, from >= 0, spec)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

/** Makes the tmpfs with what is at its place. `made`: the mounts before it that were made so, too. */
export function copyUp(
  mount: Mount,
  options: MountOptions,
  spec: Spec,
  rootFd: number,
  made: ReadonlyMap<Mount, number>,
): number {
  const from = openBelow(mount, spec, rootFd, made)
  try {
    return makeTmpfs(mount, options, spec, from)
  } finally {
    if (from >= 0) close(from)
  }
}
