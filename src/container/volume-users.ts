/** Who uses volumes. */
import type { Paths } from "../paths.ts"
import { removeVolume } from "../volume/remove.ts"
import type { VolumeInUse } from "../volume/volume.ts"
import { allIds, readHead, readRunning, runningIds } from "./state.ts"

/** Ids of the containers, running or kept, by the names of their volumes. */
export function containersByVolume(paths: Paths): Map<string, string[]> {
  const users = new Map<string, string[]>()
  for (const id of new Set([...runningIds(paths), ...allIds(paths)])) {
    const { volumes = [] } = readHead(paths, id) ?? readRunning(paths, id) ?? {}
    for (const name of new Set(volumes.map(({ name }) => name))) users.set(name, [...(users.get(name) ?? []), id])
  }
  return users
}

/** Removes the volumes without names of a container that is being removed; what others use, too, stays. */
export function removeAnonymous(paths: Paths, id: string, volumes: readonly VolumeInUse[] = []): void {
  for (const { name, anonymous } of volumes) {
    if (anonymous)
      removeVolume(
        paths,
        name,
        () =>
          containersByVolume(paths)
            .get(name)
            ?.some((user) => user !== id) ?? false,
      )
  }
}
