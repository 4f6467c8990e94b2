/** Volumes among the mounts that are asked for. */

import { exists } from "../../../ffi/fs.ts"
import { readHead, resolveId } from "../../container/state.ts"
import { readStored } from "../../container/stored-request.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import type { Mount } from "../../oci/runtime.ts"
import type { Paths } from "../../paths.ts"
import { type DriverOptions, isBind } from "../../volume/driver-options.ts"
import { anonymousName, findVolume, type VolumeWish, volumeData } from "../../volume/volume.ts"

/** Mounts, and what they need of volumes. */
export interface MountWishes {
  mounts: Mount[]
  volumes: VolumeWish[]
}

/** The mount of such a volume in place of its directory's (`own`). Throws ToyboxError where there is nothing to mount. */
function driverMount(name: string, { type, device, o = "" }: DriverOptions, own: Mount): Mount {
  const words = o.split(",").filter((word) => word !== "" && !/^r?bind$/.test(word))
  if (!isBind({ type, device, o })) {
    // Said in any case: another container may have it mounted otherwise.
    const access = own.options.includes("rro") || words.includes("ro") ? "ro" : "rw"
    return { destination: own.destination, type, source: device, options: [...words, access] }
  }
  if (!exists(device)) throw new ToyboxError(`the volume ${name} is ${device}, which is not there`)
  return { ...own, options: [...own.options, ...words.map((word) => (word === "ro" ? "rro" : word))] }
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
    const own = { destination, type: "bind", source: volumeData(paths, name), options: kept }
    const driver = findVolume(paths, name)?.options
    return driver ? driverMount(name, driver, own) : own
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
    .filter(({ type, destination }) => type === "bind" || volumes.some((volume) => volume.destination === destination))
    .map((mount) => (mode === "ro" ? { ...mount, options: [...mount.options, "rro"] } : mount))
  return { mounts, volumes: [...volumes] }
}
