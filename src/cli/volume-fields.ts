/** A volume as docker shows one. */
import type { Paths } from "../paths.ts"
import { type Volume, volumeData } from "../volume/volume.ts"

/** The volume that a directory is of; undefined where it is of none. */
export const volumeName = ({ volumes }: Paths, source: string): string | undefined =>
  source.startsWith(`${volumes}/`) ? source.slice(volumes.length + 1).split("/")[0] : undefined

// By this docker knows those that nobody has named.
const ANONYMOUS = "com.docker.volume.anonymous"

export const dockerVolume = (paths: Paths, { name, created, labels, anonymous }: Volume) => ({
  CreatedAt: created,
  Driver: "local",
  Labels: { ...(anonymous ? { [ANONYMOUS]: "" } : {}), ...labels },
  Mountpoint: volumeData(paths, name),
  Name: name,
  Options: {},
  Scope: "local",
})
