/**
 * Where the blobs of layers come from when they are pushed. A layer keeps the digest that it was pulled with as long as that
 * blob can be had: the registry has it, or can mount it from another of its repositories; it is kept here (--keep-blobs); it is
 * plain, and made again; or it is fetched again from where it was pulled. Else the layer is compressed anew, as docker does it.
 */
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { close, open, unlink, writeAll } from "../../../ffi/fs.ts"
import type { Paths } from "../../paths.ts"
import { isPassing } from "../fetch/retry.ts"
import type { Descriptor } from "../manifest.ts"
import { layerType } from "../media-types.ts"
import type { Repository } from "../registry/client.ts"
import { RegistryError } from "../registry/errors.ts"
import { offerBlob, type Uploaded, uploadBlob } from "../registry/uploads.ts"
import { readAt } from "../saved/members.ts"
import { isPlain, type KnownBlob, keptBlob, knownBlobs, layerTar } from "../store/blobs.ts"
import type { ImageOrigin } from "../store/remote.ts"
import { gzipped } from "./gzip.ts"

/** What the push of one image's layers has in common. */
export interface BlobPush {
  paths: Paths
  repository: Repository
  /** "docker.io/library/alpine" of the destination. */
  destination: string
  /** A directory on the disk of the store, for what is sent from here. */
  workspace: string
  /** Another repository to fetch from again. */
  origin(repository: string): ImageOrigin
  /** Repositories that do not answer as they should: each layer would wait for them. */
  silent: Set<string>
  progress(bytes: number): void
  notice(text: string): void
  signal: AbortSignal
}

export interface LayerToPush {
  chainId: string
  diffId: string
  /** As the image's manifest has it; null for an image that was made here. */
  wanted: Descriptor | null
  /** The media type of a layer that is compressed anew. */
  gzipType: string
}

/** How a layer came to be in the repository; "foreign": it is had elsewhere, and is not pushed. */
export interface PushedLayer {
  descriptor: Descriptor
  how: Uploaded | "foreign"
  /** It was compressed anew, and so has another digest than the image had it with. */
  anew: boolean
}

/** The path of a repository of the same registry that has a blob. */
function mountFrom({ destination }: BlobPush, blob: KnownBlob | undefined): string | undefined {
  const domain = destination.slice(0, destination.indexOf("/") + 1)
  return blob?.repositories
    .find((repository) => repository.startsWith(domain) && repository !== destination)
    ?.slice(domain.length)
}

/** Uploads from a file. */
async function uploadFile(job: BlobPush, path: string, { digest, size }: Descriptor, from: string | undefined) {
  const fd = open(path, O_RDONLY)
  try {
    const slice = (start: number, end: number) => {
      job.signal.throwIfAborted()
      return readAt(fd, start, end - start)
    }
    return await uploadBlob(job.repository, { digest, size, slice }, { mountFrom: from, progress: job.progress })
  } finally {
    close(fd)
  }
}

let files = 0

/** Uploads what comes from a stream, by way of a file, for it may have to be sent again. */
async function uploadStream(
  job: BlobPush,
  source: AsyncIterable<Uint8Array>,
  described: () => Descriptor,
): Promise<{ descriptor: Descriptor; how: Uploaded }> {
  const path = `${job.workspace}/upload.${files++}`
  const fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
  try {
    try {
      for await (const part of source) {
        job.signal.throwIfAborted()
        writeAll(fd, part)
      }
    } finally {
      close(fd)
    }
    const descriptor = described()
    return { descriptor, how: await uploadFile(job, path, descriptor, undefined) }
  } finally {
    unlink(path)
  }
}

/** The blob of a descriptor, where it can be had as it is; null where it cannot. */
async function pushExact(job: BlobPush, layer: LayerToPush, descriptor: Descriptor, known: KnownBlob | undefined) {
  const { paths, repository } = job
  const from = mountFrom(job, known)
  const kept = keptBlob(paths, descriptor)
  if (kept !== null) return uploadFile(job, kept, descriptor, from)
  const offered = await offerBlob(repository, descriptor.digest, from)
  if (offered !== null) return offered
  if (isPlain(descriptor)) {
    const source = layerTar(paths, layer.chainId, layer.diffId)
    return (await uploadStream(job, source, () => descriptor)).how
  }
  return null
}

/** The blob from one of the repositories that had it; null where none of them gives it. */
async function pushFetched(job: BlobPush, descriptor: Descriptor, known: KnownBlob | undefined) {
  for (const name of known?.repositories ?? []) {
    if (job.silent.has(name)) continue
    try {
      const source = job.origin(name).stream(descriptor)
      return (await uploadStream(job, source, () => descriptor)).how
    } catch (error) {
      job.signal.throwIfAborted()
      if (!(error instanceof RegistryError) || isPassing(error.status)) job.silent.add(name)
      const why = error instanceof Error ? error.message : error
      job.notice(`the layer ${descriptor.digest.slice(7, 19)} is not had again from ${name}: ${why}`)
    }
  }
  return null
}

/** Brings a layer into the repository. Throws ToyboxError. */
export async function pushLayer(job: BlobPush, layer: LayerToPush): Promise<PushedLayer> {
  const { chainId, diffId, wanted, gzipType } = layer
  const known = knownBlobs(job.paths, chainId)
  const same = (digest: string) => known.find((blob) => blob.digest === digest)
  if (wanted !== null) {
    const blob = same(wanted.digest)
    const how = await pushExact(job, layer, wanted, blob)
    if (how !== null) return { descriptor: wanted, how, anew: false }
    // It is its owner's to give away.
    if (layerType(wanted.mediaType)?.foreign) return { descriptor: wanted, how: "foreign", anew: false }
    const fetched = await pushFetched(job, wanted, blob)
    if (fetched !== null) return { descriptor: wanted, how: fetched, anew: false }
  }
  // Forms that it has had elsewhere: what lies below an image that was made here has come from somewhere.
  for (const blob of known) {
    const type = layerType(blob.mediaType)
    if (type?.compression !== "gzip" || type.foreign || blob.digest === wanted?.digest) continue
    const descriptor = { digest: blob.digest, size: blob.size, mediaType: gzipType }
    const how = await pushExact(job, layer, descriptor, blob)
    if (how !== null) return { descriptor, how, anew: wanted !== null }
  }
  const { stream, result } = gzipped(layerTar(job.paths, chainId, diffId))
  const { descriptor, how } = await uploadStream(job, stream, () => ({ ...result(), mediaType: gzipType }))
  return { descriptor, how, anew: wanted !== null }
}
