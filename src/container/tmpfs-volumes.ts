/**
 * Volumes in memory (-o type=tmpfs): the containers that run at a time share one file system, which goes with the last of
 * them. Only they have it mounted, so that no end of toybox or the machine leaves anything: who comes later takes it from
 * one that runs.
 */
import { call, callResult, scratch } from "../../ffi/call.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
} from "../../ffi/constants/fcntl.ts"
import { TMPFS_MAGIC } from "../../ffi/constants/magic.ts"
import { OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../ffi/constants/mount.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open } from "../../ffi/fs.ts"
import { tryLock } from "../../ffi/lock.ts"
import { OPEN_HOW_SIZE, openHow } from "../../ffi/structs.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { volumeData } from "../volume/volume.ts"
import { inMountNamespace } from "./mount-namespace.ts"
import type { ContainerRequest } from "./request.ts"
import { isAlive, readRunning, runningIds } from "./state.ts"

const WAIT = 20

/** What the container with this first process has mounted there, attached nowhere; null where that is gone, or no tmpfs. */
function takeFrom(pid: number, destination: string): number | null {
  const how = openHow(O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_IN_ROOT)
  try {
    return inMountNamespace(`/proc/${pid}/ns/mnt`, () => {
      const place = call("openat2", AT_FDCWD, destination, how, OPEN_HOW_SIZE)
      try {
        if (callResult("fstatfs", place, scratch.address) < 0 || scratch.word(0) !== TMPFS_MAGIC) return null
        return call("open_tree", place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
      } finally {
        close(place)
      }
    })
  } catch (error) {
    // It has just ended, or root in it has done away with the mount.
    if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "ESRCH", "EINVAL")) throw error
    return null
  }
}

/** The same, of any that runs. */
function takeFromOthers(paths: Paths, own: string, name: string): number | null {
  for (const id of runningIds(paths)) {
    const record = id === own ? null : readRunning(paths, id)
    if (!record || record.executed === undefined || !isAlive(record)) continue
    for (const volume of record.volumes ?? []) {
      const fd = volume.name === name ? takeFrom(record.pid, volume.destination) : null
      if (fd !== null) return fd
    }
  }
  return null
}

/** The right to look for the file system of a volume, and to mount a new one; whoever else is about to waits. */
async function lockMount(paths: Paths, name: string): Promise<number> {
  const fd = open(volumeData(paths, name), O_RDONLY | O_DIRECTORY)
  while (!tryLock(fd)) await Bun.sleep(WAIT)
  return fd
}

/**
 * For those of a container's volumes that are in memory, and are mounted: what takes the place of the mounts of the spec. The
 * others are its to mount, and are locked in `live.mounting` until it has (letOthersMount).
 */
export async function sharedVolumes(
  request: ContainerRequest,
  paths: Paths,
  live: { id: string; mounting: Map<string, number> },
  spec: Spec,
): Promise<Map<Mount, number>> {
  const found = new Map<Mount, number>()
  // In one order, so that no two wait for each other.
  for (const { name, destination } of [...request.volumes].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const mount = spec.mounts.find((mount) => mount.destination === destination && mount.type === "tmpfs")
    if (mount === undefined || live.mounting.has(name)) continue
    const lock = await lockMount(paths, name)
    live.mounting.set(name, lock)
    const fd = takeFromOthers(paths, live.id, name)
    if (fd === null) continue
    found.set(mount, fd)
    live.mounting.delete(name)
    close(lock)
  }
  return found
}
