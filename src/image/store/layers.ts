/** The layers of an image: each fetched, verified and unpacked in one pass, several at a time, and once only. */
import type { Paths } from "../../paths.ts"
import { releaseLock } from "../../state-file.ts"
import { holdLayer, layerFacts } from "../cache/layers.ts"
import type { Descriptor } from "../manifest.ts"
import type { Progress } from "../progress.ts"
import { addLayer } from "./add-layer.ts"
import { storePaths, tryLockStore } from "./records.ts"
import type { ImageOrigin } from "./remote.ts"

/** A layer to be had. */
export interface WantedLayer {
  descriptor: Descriptor
  diffId: string
  chainId: string
  /** The chain id of the layer below; undefined for the lowest. */
  below: string | undefined
}

export interface LayerJob {
  paths: Paths
  origin: ImageOrigin
  /** For errors and notices: the image. */
  name: string
  progress: Progress
  signal: AbortSignal
  quiet: boolean
}

/** Layers that are fetched at the same time, as docker has it. */
export const PARALLEL = 3
const WAIT = 100

async function* counted(job: LayerJob, descriptor: Descriptor): AsyncGenerator<Uint8Array> {
  for await (const part of job.origin.stream(descriptor)) {
    job.signal.throwIfAborted()
    job.progress.add(part.length)
    yield part
  }
}

async function unpackOne(job: LayerJob, { descriptor, diffId, below }: WantedLayer): Promise<void> {
  const name = `${job.name}: the layer ${descriptor.digest.slice(7, 19)}`
  await addLayer(job.paths, { name, below, diffId, source: counted(job, descriptor), signal: job.signal })
}

/** One layer, unless it is there, or another toybox is at it: then that is waited for. */
async function ensureLayer(job: LayerJob, layer: WantedLayer): Promise<void> {
  const paths = storePaths(job.paths)
  for (let told = false; ; told = true) {
    if (holdLayer(paths, layer.chainId) !== null) return
    const lock = tryLockStore(job.paths, layer.chainId)
    if (lock !== null) {
      try {
        if (holdLayer(paths, layer.chainId) === null) await unpackOne(job, layer)
        return
      } finally {
        releaseLock(lock)
      }
    }
    if (!told && !job.quiet) job.progress.note(`waiting for another toybox that is unpacking a layer of ${job.name}`)
    await Bun.sleep(WAIT)
    job.signal.throwIfAborted()
  }
}

/** Those of the layers that are not unpacked yet. */
export const missingLayers = (paths: Paths, layers: readonly WantedLayer[]): WantedLayer[] =>
  layers.filter(({ chainId }) => holdLayer(storePaths(paths), chainId) === null)

/** Makes all layers be there, held until this process ends. The first failure ends the others. Throws ToyboxError. */
export async function ensureLayers(job: LayerJob, layers: readonly WantedLayer[]): Promise<void> {
  const stop = new AbortController()
  const signal = AbortSignal.any([job.signal, stop.signal])
  const queue = [...layers]
  const work = async () => {
    for (let layer = queue.shift(); layer !== undefined && !signal.aborted; layer = queue.shift()) {
      try {
        await ensureLayer({ ...job, signal }, layer)
      } catch (error) {
        stop.abort(error)
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, work))
  const failed = ends.some(({ status }) => status === "rejected")
  if (failed || job.signal.aborted) throw stop.signal.aborted ? stop.signal.reason : job.signal.reason
}

/** Bytes of the tar streams of layers. */
export const unpackedSize = (paths: Paths, chainIds: readonly string[]): number =>
  chainIds.reduce((sum, id) => sum + (layerFacts(storePaths(paths), id)?.bytes ?? 0), 0)
