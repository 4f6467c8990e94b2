/** The layers of an image: each fetched, verified and unpacked in one pass, several at a time, and once only. */
import type { Paths } from "../../paths.ts"
import { releaseLock } from "../../state-file.ts"
import { holdLayer, layerFacts } from "../cache/layers.ts"
import { BadBytes } from "../digest.ts"
import type { Descriptor } from "../manifest.ts"
import type { Progress, ProgressPart } from "../progress.ts"
import { addLayer } from "./add-layer.ts"
import { isPlain, keptBlob, writingTo } from "./blobs.ts"
import { storePaths, tryLockStore } from "./records.ts"
import { type ImageOrigin, MirrorFailed } from "./remote.ts"
import type { Workspace } from "./workspace.ts"

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
  /** Which of those that fetch at the same time it is for: the first begins with the largest layer. */
  rank?: number
  /** Where blobs are put that are to be kept, by digest; null where they are not. */
  keep: { workspace: Workspace; blobs: Map<string, string> } | null
}

/** Layers that are fetched at the same time, as docker has it. */
export const PARALLEL = 3
const WAIT = 100
// Bytes of a blob from which on its unpacking takes so long that a process for it pays.
const APART_FROM = 2 ** 20
// Bytes of memory: each process takes up to a hundred million.
const APART_MEMORY = 512 * 2 ** 20

// How much less of the processors the second and third get: the first is waited for longest.
const NICE = 5

const hasRoomApart = () =>
  navigator.hardwareConcurrency > 1 && Math.min(process.availableMemory(), process.constrainedMemory()) >= APART_MEMORY
// Bytes that are read of a blob that could not be unpacked.
const MOST_REST = 64 * 2 ** 20

/** Whether a blob is to be kept, and is not. */
const isWanted = ({ keep, paths }: LayerJob, descriptor: Descriptor): boolean =>
  keep !== null && !isPlain(descriptor) && !keep.blobs.has(descriptor.digest) && keptBlob(paths, descriptor) === null

/** The blob as it comes; where it is to be kept, it is in the workspace when it has come. */
function incoming(job: LayerJob, descriptor: Descriptor, part: ProgressPart): AsyncGenerator<Uint8Array> {
  const { keep } = job
  if (keep === null || !isWanted(job, descriptor)) return counted(job, descriptor, part)
  const path = `${keep.workspace.path}/${crypto.randomUUID()}`
  keep.blobs.set(descriptor.digest, path)
  return writingTo(counted(job, descriptor, part), path)
}

async function* counted(job: LayerJob, descriptor: Descriptor, part: ProgressPart): AsyncGenerator<Uint8Array> {
  for await (const bytes of job.origin.stream(descriptor)) {
    job.signal.throwIfAborted()
    part.add(bytes.length)
    yield bytes
  }
}

/** Does something with a blob, and again from its beginning, where a mirror fails in the middle of it. */
async function wherever({ keep }: LayerJob, { digest }: Descriptor, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof MirrorFailed)) throw error
      keep?.blobs.delete(digest)
    }
  }
}

/** Tells of a layer as a part of the whole while `work` is at it. */
async function telling(
  { progress }: LayerJob,
  { digest, size }: Descriptor,
  done: string,
  work: (part: ProgressPart) => Promise<void>,
): Promise<void> {
  const part = progress.part(digest.slice(7, 19), size)
  try {
    await work(part)
    part.end(done)
  } finally {
    part.end(null)
  }
}

/**
 * What is left of a blob is read, as far as that is little: its digest tells whether the blob is wrong, or came wrong. Throws
 * BadBytes where it came wrong.
 */
async function readRest(parts: AsyncGenerator<Uint8Array>): Promise<void> {
  let bytes = 0
  try {
    for (let next = await parts.next(); !next.done && bytes < MOST_REST; next = await parts.next())
      bytes += next.value.length
  } catch (error) {
    // A network that fails now is not why the blob could not be unpacked.
    if (error instanceof BadBytes) throw error
  } finally {
    // Not awaited: a source that waits for its network would hold up the error.
    parts.return(undefined).catch(() => {})
  }
}

function unpackOne(job: LayerJob, { descriptor, diffId, below }: WantedLayer): Promise<void> {
  const name = `${job.name}: the layer ${descriptor.digest.slice(7, 19)}`
  return telling(job, descriptor, "unpacked", async (part) => {
    const parts = incoming(job, descriptor, part)
    // Who unpacks cannot end it.
    const source = { [Symbol.asyncIterator]: () => ({ next: () => parts.next() }) }
    try {
      const apart = descriptor.size >= APART_FROM && hasRoomApart()
      const nice = NICE * (job.rank ?? 0)
      await addLayer(job.paths, { name, below, diffId, source, apart, nice, signal: job.signal })
    } catch (error) {
      if (error instanceof BadBytes) await readRest(parts)
      else parts.return(undefined).catch(() => {})
      throw error
    }
  })
}

/** The blob of a layer that is there, where it is to be kept and is not. */
async function keepBlob(job: LayerJob, { descriptor }: WantedLayer): Promise<void> {
  if (!isWanted(job, descriptor)) return
  await telling(job, descriptor, "kept", async (part) => {
    for await (const _ of incoming(job, descriptor, part));
  })
}

/** One layer, unless it is there, or another toybox is at it: then that is waited for. */
async function ensureLayer(job: LayerJob, layer: WantedLayer): Promise<void> {
  const paths = storePaths(job.paths)
  for (let told = false; ; told = true) {
    if (holdLayer(paths, layer.chainId) !== null) return wherever(job, layer.descriptor, () => keepBlob(job, layer))
    const lock = tryLockStore(job.paths, layer.chainId)
    if (lock !== null) {
      try {
        if (holdLayer(paths, layer.chainId) === null) await wherever(job, layer.descriptor, () => unpackOne(job, layer))
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

/** Those of the layers that are not unpacked yet; with `keep`, also those whose blobs are not kept. */
export const missingLayers = (paths: Paths, layers: readonly WantedLayer[], keep: boolean): WantedLayer[] =>
  layers.filter(
    ({ chainId, descriptor }) =>
      holdLayer(storePaths(paths), chainId) === null ||
      (keep && !isPlain(descriptor) && keptBlob(paths, descriptor) === null),
  )

/** Makes all layers be there, held until this process ends. The first failure ends the others. Throws ToyboxError. */
export async function ensureLayers(job: LayerJob, layers: readonly WantedLayer[]): Promise<void> {
  const stop = new AbortController()
  const signal = AbortSignal.any([job.signal, stop.signal])
  // The largest first: one that begins last is waited for alone.
  const queue = layers.toSorted((a, b) => b.descriptor.size - a.descriptor.size)
  const work = async (rank: number) => {
    for (let layer = queue.shift(); layer !== undefined && !signal.aborted; layer = queue.shift()) {
      try {
        await ensureLayer({ ...job, signal, rank }, layer)
      } catch (error) {
        stop.abort(error)
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, (_, rank) => work(rank)))
  const failed = ends.some(({ status }) => status === "rejected")
  if (failed || job.signal.aborted) throw stop.signal.aborted ? stop.signal.reason : job.signal.reason
}

/** Bytes of the tar streams of layers. */
export const unpackedSize = (paths: Paths, chainIds: readonly string[]): number =>
  chainIds.reduce((sum, id) => sum + (layerFacts(storePaths(paths), id)?.bytes ?? 0), 0)
