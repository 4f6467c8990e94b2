/**
 * Layers as registries have them. They are kept only where that was asked for (--keep-blobs); of the others what is kept is
 * how they were called, and where: blobs.json in the layer's directory.
 */

import { call } from "../../../ffi/call.ts"
import { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open, stat, writeAll } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { readJson, writeDurably } from "../../state-file.ts"
import { layerFacts, layerPath } from "../cache/layers.ts"
import { BadBytes, splitDigest } from "../digest.ts"
import { readFile } from "../layer/read-file.ts"
import { rebuildTar } from "../layer/rebuild.ts"
import { type Descriptor, readManifest } from "../manifest.ts"
import { layerType } from "../media-types.ts"
import { blobPath, type ImageRecord, readBlobFile, storePaths } from "./records.ts"

/** A form in which a layer is, or was, in a registry. */
export interface KnownBlob {
  digest: string
  /** Bytes. */
  size: number
  mediaType: string
  /** Repositories that have it: "docker.io/library/alpine". The one heard of last comes first. */
  repositories: string[]
}

const MOST_BLOBS = 8
const MOST_REPOSITORIES = 8

const knownPath = (paths: Paths, chainId: string) => `${layerPath(storePaths(paths), chainId)}/blobs.json`

/** The forms that a layer is known to have, the one heard of last first. */
export const knownBlobs = (paths: Paths, chainId: string): KnownBlob[] =>
  readJson<KnownBlob[]>(knownPath(paths, chainId)) ?? []

/** Remembers a form of a layer, which is held. */
export function rememberBlob(paths: Paths, chainId: string, blob: Descriptor, repository: string | undefined): void {
  const all = knownBlobs(paths, chainId)
  const { digest, size, mediaType } = blob
  const before = all.find((known) => known.digest === digest)?.repositories ?? []
  const repositories = [...new Set([...(repository === undefined ? [] : [repository]), ...before])]
  const now = { digest, size, mediaType, repositories: repositories.slice(0, MOST_REPOSITORIES) }
  const list = [now, ...all.filter((known) => known.digest !== digest)].slice(0, MOST_BLOBS)
  if (JSON.stringify(list) === JSON.stringify(all)) return
  writeDurably(knownPath(paths, chainId), new TextEncoder().encode(JSON.stringify(list)))
}

/** Whether a layer's blob is its tar stream, which can always be made again. */
export const isPlain = ({ mediaType }: Pick<Descriptor, "mediaType">): boolean =>
  layerType(mediaType)?.compression === "none"

/** The path of a blob that is kept whole; null where it is not. */
export function keptBlob(paths: Paths, { digest, size }: Pick<Descriptor, "digest" | "size">): string | null {
  const path = blobPath(paths, digest)
  return stat(path)?.size === size ? path : null
}

function openKept(path: string, digest: string): number {
  try {
    return open(path, O_RDONLY)
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error
    throw new ToyboxError(`the layer ${digest} that was kept has just been removed, with its image`)
  }
}

/** A blob that is kept, compared with its digest while it comes. Throws ToyboxError where it is damaged, or gone. */
export async function* readKept(path: string, digest: string): AsyncGenerator<Uint8Array> {
  const { algorithm } = splitDigest(digest)
  const hash = new Bun.CryptoHasher(algorithm)
  const fd = openKept(path, digest)
  try {
    for await (const part of readFile(fd)) {
      hash.update(part)
      yield part
    }
  } finally {
    close(fd)
  }
  if (`${algorithm}:${hash.digest("hex")}` !== digest)
    throw new BadBytes(`the layer ${digest} that was kept is damaged`, { hint: "rmi the image and pull it again" })
}

/** The layers of an image as its manifest has them, the lowest first. Throws ToyboxError where that is not there. */
export function layerDescriptors(paths: Paths, { name, manifest }: ImageRecord): readonly Descriptor[] {
  const bytes = readBlobFile(paths, manifest)
  const read = bytes === null ? null : readManifest(bytes, `the manifest of ${name}`)
  if (read?.kind !== "manifest")
    throw new ToyboxError(`the manifest of ${name} is damaged`, { hint: "pull or load it again" })
  return read.layers
}

/** Bytes of the layers' blobs that are kept for images, each once. */
export function keptBytes(paths: Paths, images: readonly ImageRecord[]): number {
  const whole = images.filter(({ manifest }) => readBlobFile(paths, manifest) !== null)
  const layers = whole.flatMap((image) => layerDescriptors(paths, image))
  const kept = new Map(
    layers.filter((layer) => keptBlob(paths, layer) !== null).map(({ digest, size }) => [digest, size]),
  )
  return kept.values().reduce((sum, size) => sum + size, 0)
}

/** Whether every layer of an image can be had as its manifest has it without asking anybody. */
export const hasAllBlobs = (paths: Paths, image: ImageRecord): boolean =>
  layerDescriptors(paths, image).every((layer) => isPlain(layer) || keptBlob(paths, layer) !== null)

/** Passes a stream on, and writes it to a new file, which is on the disk when the stream has ended. */
export async function* writingTo(source: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  const fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  try {
    for await (const part of source) {
      writeAll(fd, part)
      yield part
    }
    call("fsync", fd)
  } finally {
    close(fd)
  }
}

/** The tar stream of a layer, which is held: exactly as it was, and compared with its digest. Throws ToyboxError. */
export function layerTar(paths: Paths, chainId: string, diffId: string): AsyncGenerator<Uint8Array> {
  const dir = layerPath(storePaths(paths), chainId)
  return rebuildTar({ dir, diffId, name: `the layer ${diffId.slice(7, 19)}` })
}

/** Bytes of a layer's tar stream. Throws ToyboxError where the layer is not there. */
export function tarSize(paths: Paths, chainId: string): number {
  const facts = layerFacts(storePaths(paths), chainId)
  if (facts === null) throw new ToyboxError(`the layer ${chainId} is not here`, { hint: "pull the image again" })
  return facts.bytes
}
