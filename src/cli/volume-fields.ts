/** A volume as docker shows one. */
import type { Paths } from "../paths.ts"
import { type UsesVolumes, type Volume, volumeData } from "../volume/volume.ts"

/** The volume that a container has at a place; undefined where there is none. */
export const volumeAt = ({ volumes = [] }: UsesVolumes, destination: string): string | undefined =>
  volumes.find((volume) => volume.destination === destination)?.name

// By this docker knows those that nobody has named.
const ANONYMOUS = "com.docker.volume.anonymous"

export const dockerVolume = (paths: Paths, { name, created, labels, anonymous, options }: Volume) => ({
  CreatedAt: created,
  Driver: "local",
  Labels: { ...(anonymous ? { [ANONYMOUS]: "" } : {}), ...labels },
  Mountpoint: volumeData(paths, name),
  Name: name,
  Options: options ?? {},
  Scope: "local",
})
