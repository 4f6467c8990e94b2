/**
 * Volumes: volumes/NAME/data, with volume.json beside it, and `fresh` as long as nothing was ever in it. What is being made,
 * or removed, has a name that begins with a dot and ends with whose it is. A volume is locked, shared, by every toybox that is
 * about to run a container on it.
 */
import { callResult, scratch } from "../../ffi/call.ts"
import { listDir } from "../../ffi/directory.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, mkdir, rename, symlink, writeFile } from "../../ffi/fs.ts"
import { tryLockShared } from "../../ffi/lock.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { ToyboxError, UsageError } from "../errors.ts"
import { recordThings } from "../event-file.ts"
import type { Paths } from "../paths.ts"
import { readJson, removeLeftOver, writeDurably } from "../state-file.ts"
import { type DriverOptions, isBind, isReadOnly } from "./driver-options.ts"
import { openVolume, volumeEvent, volumePath } from "./remove.ts"

/** volume.json. */
export interface Volume {
  name: string
  /** ISO 8601. */
  created: string
  labels: Record<string, string>
  /** Nobody has named it: it goes with its container. */
  anonymous?: true
  /** What is mounted in the place of a directory of its own. */
  options?: DriverOptions
}

/** What a container asks of a volume. */
export interface VolumeWish {
  name: string
  /** Where it is in the container. */
  destination: string
  /** What the image has there is copied at first use. */
  copy: boolean
  anonymous?: true
}

/** A volume as a container's records name it. */
export type VolumeInUse = Omit<VolumeWish, "copy">

/** Records of containers that use volumes. */
export interface UsesVolumes {
  volumes?: readonly VolumeInUse[]
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,200}$/

/** The directory that containers get; absolute. */
export const volumeData = (paths: Paths, name: string): string => `${volumePath(paths, name)}/data`

/**
 * There as long as the volume is to be filled by the first container whose image has something at its place; itself empty as long
 * as none has had an empty directory there, whose owner and mode the volume got.
 */
export const freshMark = (paths: Paths, name: string): string => `${volumePath(paths, name)}/fresh`

export const isVolumeName = (text: string): boolean => NAME.test(text)

/** A name for a volume that nobody names: 64 hexadecimal digits, as docker has it. */
export function anonymousName(): string {
  callResult("getrandom", scratch.address, 32, 0)
  return scratch.bytes.slice(0, 32).toHex()
}

/** The volume of that name; null where there is none. */
export const findVolume = (paths: Paths, name: string): Volume | null =>
  isVolumeName(name) ? readJson<Volume>(`${volumePath(paths, name)}/volume.json`) : null

/** As findVolume. Throws ToyboxError where there is none. */
export function volumeNamed(paths: Paths, name: string): Volume {
  const volume = findVolume(paths, name)
  if (volume) return volume
  throw new ToyboxError(`there is no volume "${name}"`, { hint: "toybox volume ls lists them" })
}

/** What a volume fails with that cannot be filled. */
export const cannotFill = (name: string, cause: unknown): ToyboxError =>
  new ToyboxError(`the volume ${name} cannot be filled with what the image has there`, {
    cause,
    hint: `with -v ${name}:PATH:nocopy it stays empty`,
  })

/** All of them, by name. What killed commands have left of others is removed. */
export function listVolumes(paths: Paths): Volume[] {
  const names = listDir(paths.volumes)
  for (const name of names) removeLeftOver(paths.volumes, name)
  return names.sort().flatMap((name) => findVolume(paths, name) ?? [])
}

/** Makes a volume; one that is there stays as it is. Throws UsageError, ToyboxError. */
export function createVolume(
  paths: Paths,
  name: string,
  { labels = {}, anonymous, options }: Partial<Pick<Volume, "labels" | "anonymous" | "options">> = {},
): Volume {
  if (!isVolumeName(name))
    throw new UsageError(`"${name}" is no name for a volume`, {
      hint: "2 to 201 characters: letters, digits, and after the first also _ . -",
    })
  const found = findVolume(paths, name)
  if (found) return found
  mkdir(paths.volumes, 0o700)
  const volume = {
    ...{ name, created: new Date().toISOString(), labels },
    ...(anonymous ? { anonymous } : {}),
    ...(options ? { options } : {}),
  }
  const making = `${paths.volumes}/.${name}.${process.pid}`
  removeTree(making)
  mkdir(making, 0o700)
  try {
    if (options && isBind(options)) symlink(options.device, `${making}/data`)
    else mkdir(`${making}/data`, 0o755)
    if (!options || (isBind(options) && !isReadOnly(options))) writeFile(`${making}/fresh`, "")
    writeDurably(`${making}/volume.json`, new TextEncoder().encode(JSON.stringify(volume)))
    rename(making, volumePath(paths, name))
    recordThings(paths, volumeEvent("create", name))
    return volume
  } catch (error) {
    removeTree(making)
    // Another toybox was quicker.
    if (isErrno(error, "ENOTEMPTY", "EEXIST")) return volumeNamed(paths, name)
    throw error
  }
}

/**
 * Makes a volume where it is not there, and keeps it from being removed as long as the descriptor that it returns is open.
 * Throws ToyboxError.
 */
export function holdVolume(paths: Paths, { name, anonymous }: Pick<Volume, "name" | "anonymous">): number {
  for (;;) {
    createVolume(paths, name, anonymous ? { anonymous } : {})
    const fd = openVolume(paths, name)
    if (fd === null) continue
    // It may have been moved away, to be removed, before it was locked.
    if (tryLockShared(fd) && findVolume(paths, name)) return fd
    close(fd)
  }
}
