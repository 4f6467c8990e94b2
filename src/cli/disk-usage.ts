/** What toybox's things take on the disk, as docker system df counts it: bytes of tar streams, and of written files. */
import { containersByImage, containersByRoot, isUp, listContainers, type Summary } from "../container/list.ts"
import { bytesBelow, writtenBytes } from "../container/observe/size.ts"
import { containersByVolume } from "../container/volume-users.ts"
import { type CachedLayer, listCache } from "../image/cache/inventory.ts"
import { layerPath, layerRoot, removeAbandonedLayers, unfinishedLayers } from "../image/cache/layers.ts"
import { keptBytes } from "../image/store/blobs.ts"
import { layerSizes } from "../image/store/prune.ts"
import { type ImageRecord, listImages, storePaths } from "../image/store/records.ts"
import type { Paths } from "../paths.ts"
import { listVolumes, type Volume, volumeData } from "../volume/volume.ts"

/** One image with all its names. */
export interface ImageUsage {
  image: ImageRecord
  names: string[]
  size: number
  /** Of the layers that other images have, too. */
  shared: number
  /** Ids. */
  containers: string[]
}

export interface DiskUsage {
  images: ImageUsage[]
  containers: { summary: Summary; size: number }[]
  volumes: { volume: Volume; size: number; containers: string[] }[]
  cache: CachedLayer[]
  /** Bytes of the image store's layers, with those that are being unpacked, and of what is kept of them as they came. */
  layers: number
  /** Of these, of layers that no container stands on. */
  idleLayers: number
}

const sum = (numbers: Iterable<number>): number => Iterator.from(numbers).reduce((total, number) => total + number, 0)

function imageUsage(paths: Paths, sizes: ReadonlyMap<string, number>): ImageUsage[] {
  const users = containersByImage(paths)
  const byId = Map.groupBy(listImages(paths), ({ id }) => id)
  const firsts = [...byId.values()].flatMap(([image]) => image ?? [])
  const holders = Map.groupBy(
    firsts.flatMap(({ layers }) => [...new Set(layers)]),
    (id) => id,
  )
  return firsts.map((image) => {
    const sizeOf = (layers: readonly string[]) => sum(layers.map((id) => sizes.get(id) ?? 0))
    return {
      image,
      names: (byId.get(image.id) ?? []).map(({ name }) => name),
      size: sizeOf(image.layers),
      shared: sizeOf(image.layers.filter((id) => (holders.get(id)?.length ?? 0) > 1)),
      containers: users.get(image.id) ?? [],
    }
  })
}

/** Everything, with its sizes. Sets in order what killed runs have left, as `ps` does. */
export function diskUsage(paths: Paths): DiskUsage {
  const store = storePaths(paths)
  removeAbandonedLayers(store)
  const containers = listContainers(paths, true).map((summary) => ({ summary, size: writtenBytes(paths, summary.id) }))
  const users = containersByRoot(paths)
  const ofVolumes = containersByVolume(paths)
  const sizes = layerSizes(paths)
  const images = imageUsage(paths, sizes)
  const keptFor = (found: readonly ImageUsage[]) =>
    keptBytes(
      paths,
      found.map(({ image }) => image),
    )
  const kept = keptFor(images)
  const idle = [...sizes].filter(([id]) => !users.has(layerRoot(layerPath(store, id))))
  return {
    images,
    containers,
    volumes: listVolumes(paths).map((volume) => ({
      volume,
      size: bytesBelow(volumeData(paths, volume.name)),
      containers: ofVolumes.get(volume.name) ?? [],
    })),
    cache: listCache(paths, users),
    layers: sum(sizes.values()) + bytesBelow(unfinishedLayers(store)) + kept,
    idleLayers:
      sum(idle.map(([, size]) => size)) + kept - keptFor(images.filter(({ containers }) => containers.length > 0)),
  }
}

/** A line of the summary. Sizes in bytes. */
export interface UsageRow {
  type: string
  total: number
  active: number
  size: number
  reclaimable: number
}

/** As docker's table has it. */
export function usageRows({ images, containers, volumes, cache, layers, idleLayers }: DiskUsage): UsageRow[] {
  const ended = containers.filter(({ summary }) => !isUp(summary))
  const idle = volumes.filter((volume) => volume.containers.length === 0)
  const unused = cache.filter(({ usedBy }) => usedBy.length === 0)
  const sizes = (found: readonly { size: number }[]) => sum(found.map(({ size }) => size))
  return [
    {
      type: "Images",
      total: images.length,
      active: images.filter((image) => image.containers.length > 0).length,
      size: layers,
      reclaimable: idleLayers,
    },
    {
      type: "Containers",
      total: containers.length,
      active: containers.length - ended.length,
      size: sizes(containers),
      reclaimable: sizes(ended),
    },
    {
      type: "Local Volumes",
      total: volumes.length,
      active: volumes.length - idle.length,
      size: sizes(volumes),
      reclaimable: sizes(idle),
    },
    {
      type: "Archive Cache",
      total: cache.length,
      active: cache.length - unused.length,
      size: sizes(cache),
      reclaimable: sizes(unused),
    },
  ]
}
