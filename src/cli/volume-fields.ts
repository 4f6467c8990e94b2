/** A volume as docker shows one. */
import type { Mount } from "../oci/runtime.ts"
import type { Paths } from "../paths.ts"
import { type UsesVolumes, type Volume, volumeData } from "../volume/volume.ts"

/** The volume that a container has at a place; undefined where there is none. */
export const volumeAt = ({ volumes = [] }: UsesVolumes, destination: string): string | undefined =>
  volumes.find((volume) => volume.destination === destination)?.name

/** Whether a mount was asked for, be it of a volume or of a place of the machine: the others are toybox's own. */
export const isGiven = (paths: Paths, record: UsesVolumes, { type, source, destination }: Mount): boolean =>
  ((type === "bind" || type === "none") && !source.startsWith(`${paths.containers}/`)) ||
  volumeAt(record, destination) !== undefined

// By this docker knows those that nobody has named.
const ANONYMOUS = "com.docker.volume.anonymous"

/** The same in a list, where docker has its labels as text, and what only other drivers know. */
export function listedVolume(paths: Paths, volume: Volume) {
  const { CreatedAt: _, Options: _options, ...fields } = dockerVolume(paths, volume)
  const shown: Record<string, string> = fields.Labels
  const label = (key: string) => shown[key] ?? ""
  const none = { Availability: "N/A", Group: "N/A", Links: "N/A", Size: "N/A", Status: "N/A" }
  const labels = Object.entries(shown).map(([key, value]) => `${key}=${value}`)
  // Not of what {{json .}} shows.
  return Object.defineProperty({ ...fields, ...none, Labels: labels.join(",") }, "Label", { value: label })
}

export const dockerVolume = (paths: Paths, { name, created, labels, anonymous, options }: Volume) => ({
  CreatedAt: created,
  Driver: "local",
  Labels: { ...(anonymous ? { [ANONYMOUS]: "" } : {}), ...labels },
  Mountpoint: volumeData(paths, name),
  Name: name,
  Options: options ?? {},
  Scope: "local",
})
