/** Volumes among the mounts that are asked for. */

import { readHead, resolveId } from "../../container/state.ts"
import { readStored } from "../../container/stored-request.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import type { Mount } from "../../oci/runtime.ts"
import type { Paths } from "../../paths.ts"
import { anonymousName, type VolumeWish, volumeData } from "../../volume/volume.ts"

/** Mounts, and what they need of volumes. */
export interface MountWishes {
  mounts: Mount[]
  volumes: VolumeWish[]
}

/** Mounts of type "volume", whose source is a name or nothing, become those of directories. */
export function settleVolumes(paths: Paths, wanted: readonly Mount[]): MountWishes {
  const volumes: VolumeWish[] = []
  const mounts = wanted.map((mount): Mount => {
    const { type, source, destination, options } = mount
    if (type !== "volume") return mount
    const name = source || anonymousName()
    const copy = !options.includes("nocopy")
    volumes.push({ name, destination, copy, ...(source ? {} : { anonymous: true as const }) })
    const kept = options.filter((option) => option !== "nocopy")
    return { destination, type: "bind", source: volumeData(paths, name), options: kept }
  })
  return { mounts, volumes }
}

/** --volumes-from CONTAINER[:ro|:rw]: its binds and volumes. Throws UsageError, ToyboxError. */
export function volumesFrom(paths: Paths, text: string): MountWishes {
  const [reference = "", mode, more] = text.split(":")
  if (more !== undefined || (mode !== undefined && mode !== "ro" && mode !== "rw"))
    throw new UsageError(`--volumes-from: "${text}" is not understood (use CONTAINER, CONTAINER:ro or CONTAINER:rw)`)
  const id = resolveId(paths, reference)
  const head = readHead(paths, id)
  if (head === null) throw new ToyboxError(`container ${reference} is being made or removed`)
  const { process, volumes } = readStored(paths, id, head.name)
  const mounts = process.mounts
    .filter(({ type }) => type === "bind")
    .map((mount) => (mode === "ro" ? { ...mount, options: [...mount.options, "rro"] } : mount))
  return { mounts, volumes: [...volumes] }
}
