/** Images whose layers are in the store already: made, named, given further names. */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { chainIds, readConfig } from "../config.ts"
import { digestOf } from "../digest.ts"
import { readManifest } from "../manifest.ts"
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "../media-types.ts"
import { formatPlatform, normalPlatform } from "../platform.ts"
import { parseReference, repositoryName } from "../reference.ts"
import type { RawManifest } from "../registry/manifests.ts"
import { tarSize } from "./blobs.ts"
import { unpackedSize } from "./layers.ts"
import {
  type ImageRecord,
  isNameless,
  keepNameless,
  listImages,
  moveBlob,
  readBlobFile,
  readImage,
  removeName,
  withContent,
  writeBlob,
  writeImage,
} from "./records.ts"

/** An image to be put into the store. Its layers are there, and held (holdLayer, addLayer), so that they stay. */
export interface NewImage {
  /** The whole reference; null for an image that goes by its id alone. */
  name: string | null
  /** The bytes of its config. */
  config: Uint8Array
  /** As it came from a registry or an archive. Left out where the image is made here: then one of plain layers is made. */
  manifest?: RawManifest
  /** What the name stood for where it came from: the manifest, or an index that led to it. */
  top?: RawManifest
  /** The repository of a registry that it came from. */
  repository?: string | undefined
  /** Of the archive file that it comes from: fileIdentity. */
  identity?: string | undefined
  /** Blobs of layers to be kept, in a workspace of the store: they are moved. */
  blobs?: ReadonlyMap<string, string>
}

/** A manifest of plain layers: `sizes` are the bytes of their tar streams. The same image always gives the same one. */
export function plainManifest(config: Uint8Array, diffIds: readonly string[], sizes: readonly number[]): RawManifest {
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
    layers: diffIds.map((digest, i) => ({ mediaType: OCI_LAYER, digest, size: sizes[i] ?? 0 })),
  }
  const bytes = new TextEncoder().encode(JSON.stringify(manifest))
  return { bytes, digest: digestOf(bytes), mediaType: OCI_MANIFEST }
}

/**
 * Writes the config, the manifest and then the name, which an older image loses: it goes by its id then. Returns its record: one that it has already,
 * where it is put without a name. Throws ToyboxError where the config cannot
 * be read or a layer is not there.
 */
export async function putImage(paths: Paths, image: NewImage): Promise<ImageRecord> {
  const { config: configBytes, top } = image
  const id = image.manifest === undefined ? digestOf(configBytes) : configDigest(image.manifest)
  const config = readConfig(configBytes, `the config of ${image.name ?? id}`)
  const layers = chainIds(config.diffIds)
  const sizes = layers.map((chainId) => tarSize(paths, chainId))
  const manifest = image.manifest ?? plainManifest(configBytes, config.diffIds, sizes)
  const record: ImageRecord = {
    name: image.name ?? id,
    id,
    manifest: manifest.digest,
    digest: (top ?? manifest).digest,
    ...(image.repository === undefined ? {} : { repoDigests: [`${image.repository}@${(top ?? manifest).digest}`] }),
    platform: formatPlatform(normalPlatform(config.platform)),
    layers,
    size: unpackedSize(paths, layers),
    ...(config.created === undefined ? {} : { created: config.created }),
    ...(image.manifest === undefined ? { made: true } : {}),
    ...(image.identity === undefined ? {} : { identity: image.identity }),
    pulled: new Date().toISOString(),
  }
  return withContent(paths, () => {
    writeBlob(paths, id, configBytes)
    for (const [digest, path] of image.blobs ?? []) moveBlob(paths, digest, path)
    for (const { digest, bytes } of [manifest, top ?? manifest]) writeBlob(paths, digest, bytes)
    return writeNamed(paths, record.made ? likePulled(paths, record) : record)
  })
}

function configDigest({ bytes }: RawManifest): string {
  const manifest = readManifest(bytes, "the manifest")
  if (manifest.kind !== "manifest") throw new ToyboxError("an index is no image's manifest")
  return manifest.config.digest
}

/** An image that is here as it was pulled, too, has the manifest of that: it comes back from an archive that it was saved to. */
function likePulled(paths: Paths, record: ImageRecord): ImageRecord {
  const pulled = listImages(paths).find(
    ({ id, made, manifest }) => id === record.id && !made && readBlobFile(paths, manifest) !== null,
  )
  if (pulled === undefined) return record
  const { made: _, ...others } = record
  return { ...others, manifest: pulled.manifest, digest: pulled.digest }
}

/** Who has a name needs no other: returns the record that stands. The image whose last name it takes goes by its id. */
function writeNamed(paths: Paths, record: ImageRecord): ImageRecord {
  const images = listImages(paths)
  const others = images.filter(({ id, name }) => id === record.id && name !== record.name)
  const [other] = others
  if (isNameless(record) && other !== undefined) return other
  const before = images.find(({ name }) => name === record.name)
  if (before !== undefined && before.id !== record.id) keepNameless(paths, before)
  const known = before?.id === record.id ? before.repoDigests : []
  writeImage(paths, withRepoDigests(record, known))
  for (const other of others) if (isNameless(other)) removeName(paths, other.name)
  return record
}

function withRepoDigests(record: ImageRecord, more: readonly string[] = []): ImageRecord {
  const all = [...new Set([...(record.repoDigests ?? []), ...more])]
  return all.length === 0 ? record : { ...record, repoDigests: all }
}

/** Gives an image of the store a further name, a whole reference; another image loses it. Throws ToyboxError where it has gone. */
export async function tagImage(paths: Paths, image: ImageRecord, name: string): Promise<ImageRecord> {
  const { repoDigests = [], ...others } = image
  const repository = repositoryName(parseReference(name))
  // With its last name of a repository it loses the digests there.
  const kept = isNameless(image) ? repoDigests : repoDigests.filter((known) => known.startsWith(`${repository}@`))
  return withContent(paths, () => {
    // What the name would lead to may be removed already.
    if (!listImages(paths).some(({ id }) => id === image.id))
      throw new ToyboxError(`the image ${image.name} was just removed`, { hint: "pull or load it again" })
    return writeNamed(paths, withRepoDigests({ ...others, name, pulled: new Date().toISOString() }, kept))
  })
}

/** Remembers what a registry knows an image by, unless its name has passed to another. */
export async function addRepoDigest(paths: Paths, image: ImageRecord, repoDigest: string): Promise<void> {
  if (image.repoDigests?.includes(repoDigest)) return
  await withContent(paths, () => {
    const record = readImage(paths, image.name)
    if (record?.id === image.id) writeImage(paths, withRepoDigests(record, [repoDigest]))
  })
}
