/** Removing volumes that no container has. */
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { removeVolume } from "../volume/remove.ts"
import { listVolumes, type Volume, volumeData, volumeNamed } from "../volume/volume.ts"
import { bytesBelow } from "./observe/size.ts"
import { readHead } from "./state.ts"
import { containersByVolume } from "./volume-users.ts"

/** Removes one by its name. Throws ToyboxError, which names them, where containers have it. */
export function removeNamedVolume(paths: Paths, name: string): void {
  volumeNamed(paths, name)
  let users: string[] = []
  const inUse = () => {
    users = (containersByVolume(paths).get(name) ?? []).map((id) => readHead(paths, id)?.name ?? id.slice(0, 12))
    return users.length > 0
  }
  if (removeVolume(paths, name, inUse)) return
  const who = users.length > 0 ? `container ${users.join(", ")}` : "a container that is being started"
  throw new ToyboxError(`the volume ${name} is in use by ${who}`, {
    hint: users.length > 0 ? `remove it first: toybox rm ${users.join(" ")}` : undefined,
  })
}

/** What went: names, and bytes of the files. */
export interface PrunedVolumes {
  names: string[]
  bytes: number
}

/** Removes those that no container has, of those that are chosen. */
export function pruneVolumes(paths: Paths, isChosen: (volume: Volume) => boolean): PrunedVolumes {
  const pruned: PrunedVolumes = { names: [], bytes: 0 }
  const before = containersByVolume(paths)
  for (const volume of listVolumes(paths)) {
    if (before.has(volume.name) || !isChosen(volume)) continue
    const bytes = bytesBelow(volumeData(paths, volume.name))
    if (!removeVolume(paths, volume.name, () => containersByVolume(paths).has(volume.name))) continue
    pruned.names.push(volume.name)
    pruned.bytes += bytes
  }
  return pruned
}
