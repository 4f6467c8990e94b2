/**
 * Volumes in memory (-o type=tmpfs): the containers that run at a time share one file system, which goes with the last of
 * them. Only they have it mounted, so that no end of toybox or the machine leaves anything: who comes later takes it from
 * one that runs.
 */
import { call, callResult, failure, scratch } from "../../ffi/call.ts"
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
import { openat2 } from "../../ffi/openat2.ts"
import { OPEN_HOW_SIZE, openHow } from "../../ffi/structs.ts"
import { ToyboxError } from "../errors.ts"
import type { Mount, Spec } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { parseMountOptions } from "../plan/mount-options.ts"
import { cannotFill, type VolumeWish, volumeData } from "../volume/volume.ts"
import { openInRootFd } from "./identity.ts"
import { inMountNamespace } from "./mount-namespace.ts"
import { makeTmpfs } from "./oci/copy-up.ts"
import type { ContainerRequest } from "./request.ts"
import { isAlive, readRunning, runningIds } from "./state.ts"

const WAIT = 20

/** What the container with this first process has mounted there, attached nowhere; null where that is gone, or no tmpfs. */
function takeFrom(pid: number, destination: string): number | null {
  const how = openHow(O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_IN_ROOT)
  try {
    return inMountNamespace(`/proc/${pid}/ns/mnt`, () => {
      const place = openat2(AT_FDCWD, destination, how)
      if (place < 0) throw failure("openat2", place, AT_FDCWD, destination, how, OPEN_HOW_SIZE)
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

/** A new one, with what the image has at its place. Throws ToyboxError. */
function make({ name, destination, copy }: VolumeWish, mount: Mount, spec: Spec, rootFd: number): number {
  const from = copy ? openInRootFd(rootFd, destination, O_PATH | O_DIRECTORY) : -1
  try {
    return makeTmpfs(mount, parseMountOptions(mount.options), spec, from)
  } catch (error) {
    if (error instanceof ToyboxError) throw cannotFill(name, error)
    throw new ToyboxError(`the volume ${name} cannot be mounted`, { cause: error })
  } finally {
    if (from >= 0) close(from)
  }
}

/**
 * For those of a container's volumes that are in memory: what takes the place of the mounts of the spec, one for all places of
 * a volume. Those that nobody has mounted are made, and locked in `live.mounting` until others can find them (letOthersMount).
 */
export async function sharedVolumes(
  request: ContainerRequest,
  paths: Paths,
  live: { id: string; mounting: Map<string, number> },
  spec: Spec,
  rootFd: number,
): Promise<Map<Mount, number>> {
  const found = new Map<Mount, number>()
  const byName = new Map<string, number>()
  const obtain = async (wish: VolumeWish, mount: Mount): Promise<number> => {
    const { name } = wish
    // A second attempt to start has the lock.
    const lock = live.mounting.get(name) ?? (await lockMount(paths, name))
    live.mounting.set(name, lock)
    const taken = takeFromOthers(paths, live.id, name)
    if (taken === null) return make(wish, mount, spec, rootFd)
    live.mounting.delete(name)
    close(lock)
    return taken
  }
  // In one order, so that no two wait for each other.
  for (const wish of [...request.volumes].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name, destination } = wish
    const mount = spec.mounts.find((mount) => mount.destination === destination && mount.type === "tmpfs")
    if (mount === undefined) continue
    const fd = byName.get(name) ?? (await obtain(wish, mount))
    byName.set(name, fd)
    found.set(mount, fd)
  }
  return found
}
