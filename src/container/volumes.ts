/** The volumes of containers: made and held before a container is, filled when its root can be looked into. */
import { O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { close } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import type { FileLock } from "../state-file.ts"
import { fillVolume } from "../volume/fill.ts"
import { holdVolume } from "../volume/volume.ts"
import { openInRootFd } from "./identity.ts"
import type { ContainerRequest } from "./request.ts"
import { type ContainerRecord, type RunningRecord, updateRunning } from "./state.ts"
import { readStored } from "./stored-request.ts"

/**
 * Makes the volumes of a container, as far as they are not there, and holds them: the container's records do not tell of it
 * yet. Returns descriptors to be closed.
 */
export function takeVolumes(
  request: ContainerRequest,
  paths: Paths,
  { record, lock }: { record: RunningRecord; lock: FileLock },
): number[] {
  // Before they are there: so the next toybox knows of them, should this one be killed.
  record.volumes = request.volumes.map(({ copy: _, ...volume }) => volume)
  updateRunning(lock, record)
  return request.volumes.map((volume) => holdVolume(paths, volume))
}

/** Copies what the image has at their places into volumes that are new. `rootFd`: its root, not to be written. Throws ToyboxError. */
export async function fillVolumes(
  { volumes }: Pick<ContainerRequest, "volumes">,
  paths: Paths,
  rootFd: number,
): Promise<void> {
  for (const { name, destination, copy } of volumes) {
    const fd = copy ? openInRootFd(rootFd, destination, O_PATH | O_DIRECTORY) : -1
    try {
      await fillVolume(paths, name, fd < 0 ? null : `/proc/self/fd/${fd}/.`)
    } finally {
      if (fd >= 0) close(fd)
    }
  }
}

/**
 * The same for one that does not run: who puts something into a volume before the first start would else keep it from what the
 * image has there. Throws ToyboxError.
 */
export async function fillStopped(paths: Paths, { id, name }: ContainerRecord, rootFd: number): Promise<void> {
  const stored = readStored(paths, id, name)
  const held = stored.volumes.map((volume) => holdVolume(paths, volume))
  try {
    await fillVolumes(stored, paths, rootFd)
  } finally {
    for (const fd of held) close(fd)
  }
}
