/** An image of the store to a registry: distribution spec, "Push". */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { readConfig } from "../config.ts"
import { type Descriptor, readManifest } from "../manifest.ts"
import { DOCKER_LAYER, DOCKER_MANIFEST, OCI_LAYER } from "../media-types.ts"
import type { Progress } from "../progress.ts"
import { formatReference, parseReference, type Reference, repositoryName } from "../reference.ts"
import { openRepository, type Repository } from "../registry/client.ts"
import { authFiles, findCredentials } from "../registry/credentials.ts"
import { endpointsFor } from "../registry/endpoint.ts"
import { putManifest } from "../registry/manifests.ts"
import { uploadBlob } from "../registry/uploads.ts"
import { rememberBlob } from "../store/blobs.ts"
import { PARALLEL } from "../store/layers.ts"
import { addRepoDigest } from "../store/put.ts"
import { type ImageRecord, readBlobFile } from "../store/records.ts"
import { type RemoteOptions, remoteImage } from "../store/remote.ts"
import { openWorkspace } from "../store/workspace.ts"
import { type BlobPush, type LayerToPush, type PushedLayer, pushLayer } from "./blobs.ts"

export interface PushOptions extends Omit<RemoteOptions, "signal"> {
  paths: Paths
  /** Its layers are held. */
  image: ImageRecord
  /** With a tag. */
  destination: Reference
  progress: Progress
  signal: AbortSignal
}

export interface Pushed {
  /** Of the manifest. */
  digest: string
  /** Bytes of the manifest. */
  size: number
  layers: PushedLayer[]
}

/** The registry itself: nobody pushes to a mirror. */
async function openDestination({ destination, settings, state, wishes, ...client }: PushOptions): Promise<Repository> {
  const endpoint = endpointsFor(destination.domain, settings, wishes).find(({ mirror }) => !mirror)
  if (endpoint === undefined) throw new ToyboxError(`${destination.domain} is not reached in any way`)
  const files = authFiles(state, process.env, process.geteuid?.() ?? 0)
  const credentials = (host: string, path: string) => findCredentials(host, path, files)
  return openRepository(endpoint, destination.path, { ...client, credentials })
}

function documents(paths: Paths, { name, id, manifest }: ImageRecord) {
  const config = readBlobFile(paths, id)
  const bytes = readBlobFile(paths, manifest)
  const read = bytes === null ? null : readManifest(bytes, `the manifest of ${name}`)
  if (config === null || bytes === null || read?.kind !== "manifest")
    throw new ToyboxError(`${name} is damaged`, { hint: "pull or load it again" })
  return { config, bytes, manifest: read, diffIds: readConfig(config, `the config of ${name}`).diffIds }
}

/** As many at a time as are pulled; the first failure ends the others. */
async function pushLayers(job: BlobPush, layers: readonly LayerToPush[], told: (layer: PushedLayer) => void) {
  const stop = new AbortController()
  const signal = AbortSignal.any([job.signal, stop.signal])
  const pushed: PushedLayer[] = []
  const queue = layers.map((layer, i) => ({ layer, i }))
  // A layer that is there twice is pushed once.
  const begun = new Map<string, Promise<PushedLayer>>()
  const work = async () => {
    for (let next = queue.shift(); next !== undefined && !signal.aborted; next = queue.shift()) {
      const { layer, i } = next
      const key = layer.wanted?.digest ?? layer.diffId
      const first = begun.get(key)
      const pushing = first ?? pushLayer({ ...job, signal }, layer)
      begun.set(key, pushing)
      try {
        const done = await pushing
        pushed[i] = done
        if (first === undefined) told(done)
      } catch (error) {
        stop.abort(error)
        throw error
      }
    }
  }
  await Promise.allSettled(Array.from({ length: PARALLEL }, work))
  if (signal.aborted) throw signal.reason
  return pushed
}

/** The manifest with other layers. */
function withLayers(bytes: Uint8Array, layers: readonly Descriptor[]): Uint8Array {
  const manifest = JSON.parse(new TextDecoder().decode(bytes))
  const plain = layers.map(({ mediaType, digest, size }, i) => {
    const before = manifest.layers[i]
    return before.digest === digest ? before : { mediaType, digest, size }
  })
  return new TextEncoder().encode(JSON.stringify({ ...manifest, layers: plain }))
}

const HOW = {
  existed: "is there already",
  mounted: "mounted",
  uploaded: "pushed",
  foreign: "is not pushed: it is foreign",
}

/** Pushes an image under a tag. Throws ToyboxError; what has been pushed of layers is there for the next try. */
export async function pushImage(options: PushOptions): Promise<Pushed> {
  const { paths, image, destination, progress, notice = () => {}, signal } = options
  const { config, bytes, manifest, diffIds } = documents(paths, image)
  const repository = await openDestination(options)
  const workspace = openWorkspace(paths)
  const name = repositoryName(destination)
  const job: BlobPush = {
    ...{ paths, repository, signal, notice },
    silent: new Set(),
    destination: name,
    workspace: workspace.path,
    origin(from) {
      const { wishes, ...others } = options
      const reference = parseReference(from)
      // What was asked for on the command line is meant for the registry that was named.
      const isSame = wishes !== undefined && reference.domain === destination.domain
      return remoteImage(reference, isSame ? { ...others, wishes } : others)
    },
    progress: (count) => progress.add(count),
  }
  const gzipType = `${manifest.mediaType === DOCKER_MANIFEST ? `${DOCKER_LAYER}.` : `${OCI_LAYER}+`}gzip`
  const layers = manifest.layers.map(
    (wanted, i): LayerToPush => ({
      chainId: image.layers[i] ?? "",
      diffId: diffIds[i] ?? "",
      wanted: image.made ? null : wanted,
      gzipType,
    }),
  )
  try {
    const pushed = await pushLayers(job, layers, ({ descriptor, how }) =>
      progress.note(`layer ${descriptor.digest.slice(7, 19)}: ${HOW[how]}`),
    )
    const slice = (start: number, end: number) => config.subarray(start, end)
    await uploadBlob(repository, { digest: image.id, size: config.length, slice })
    const changed = pushed.some(({ descriptor }, i) => descriptor.digest !== manifest.layers[i]?.digest)
    const final = changed
      ? withLayers(
          bytes,
          pushed.map(({ descriptor }) => descriptor),
        )
      : bytes
    const digest = await putManifest(repository, destination.tag ?? "latest", {
      bytes: final,
      mediaType: manifest.mediaType,
    })
    pushed.forEach(({ descriptor, how }, i) => {
      if (how !== "foreign") rememberBlob(paths, image.layers[i] ?? "", descriptor, name)
    })
    await addRepoDigest(paths, image, `${name}@${digest}`)
    return { digest, size: final.length, layers: pushed }
  } finally {
    workspace.remove()
  }
}

/** What is told when the digest is not the one that was pulled; null where it is. */
export function changedDigest({ digest, layers }: Pushed, image: ImageRecord, destination: Reference): string | null {
  const anew = layers.filter((layer) => layer.anew)
  if (anew.length === 0) return null
  const what = `${anew.length} of ${layers.length} layers`
  return (
    `${formatReference(destination)}: ${what} could not be had as they were pulled, and are compressed anew: ` +
    `the digest is ${digest} instead of ${image.manifest}`
  )
}
