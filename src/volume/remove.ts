/** Removing volumes. On the way of every container that ends, and so apart from the rest. */
import { O_DIRECTORY, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, exists, open, rename } from "../../ffi/fs.ts"
import { tryLock } from "../../ffi/lock.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { recordThings, type ThingEvent } from "../event-file.ts"
import type { Paths } from "../paths.ts"

export const volumePath = (paths: Paths, name: string): string => `${paths.volumes}/${name}`

/** That one is made, or gone. */
export const volumeEvent = (action: "create" | "destroy", name: string): ThingEvent => ({
  type: "volume",
  action,
  id: name,
  attributes: { driver: "local" },
})

/** Its directory, to be locked; null where there is no such volume. */
export function openVolume(paths: Paths, name: string): number | null {
  try {
    return open(volumePath(paths, name), O_RDONLY | O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null
    throw error
  }
}

/** Removes a volume and what is in it; false where containers use it. `inUse` is asked when no container can begin to. */
export function removeVolume(paths: Paths, name: string, inUse: () => boolean): boolean {
  const fd = openVolume(paths, name)
  if (fd === null) return true
  try {
    if (!tryLock(fd)) return false
    if (!exists(volumePath(paths, name))) return true
    if (inUse()) return false
    const trash = `${paths.volumes}/.${name}.${process.pid}`
    rename(volumePath(paths, name), trash)
    recordThings(paths, volumeEvent("destroy", name))
    removeTree(trash)
    return true
  } finally {
    close(fd)
  }
}
