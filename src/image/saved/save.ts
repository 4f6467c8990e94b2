/**
 * Archives of images as docker and the OCI have them. Both are OCI layouts (image-layout.md); docker's has manifest.json
 * beside it, as docker writes it since version 25, and its layers are always plain. The same images give the same bytes.
 */
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { readConfig } from "../config.ts"
import { splitDigest } from "../digest.ts"
import { END_OF_ARCHIVE, paddingFor, writeHeader } from "../layer/tar/write-header.ts"
import { type Descriptor, readManifest } from "../manifest.ts"
import { OCI_INDEX, OCI_MANIFEST } from "../media-types.ts"
import { normalPlatform, type Platform } from "../platform.ts"
import type { RawManifest } from "../registry/manifests.ts"
import { hasAllBlobs, isPlain, keptBlob, layerTar, readKept, tarSize } from "../store/blobs.ts"
import { REF_NAME } from "../store/layout.ts"
import { plainManifest } from "../store/put.ts"
import { type ImageRecord, readBlobFile } from "../store/records.ts"
import { CONTAINERD_NAME } from "./content.ts"
import { DOCKER_MANIFEST_FILE } from "./docker.ts"

export type ArchiveFormat = "docker-archive" | "oci-archive"

/** An image to be saved. Its layers are held. */
export interface SavedImage {
  record: ImageRecord
  /** Whole references to be saved; none for an image that is named by its id. */
  names: readonly string[]
}

export interface SavePlan {
  /** Of the whole archive, in bytes. */
  size: number
  /** Images that are saved under another manifest than they were pulled with. */
  changed: readonly { record: ImageRecord; digest: string }[]
  /** The archive, piece after piece. Throws ToyboxError where a layer has been damaged. */
  write(): AsyncGenerator<Uint8Array>
}

interface Member {
  path: string
  size: number
  content(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

const blobPath = (digest: string) => {
  const { algorithm, hex } = splitDigest(digest)
  return `blobs/${algorithm}/${hex}`
}

const small = (path: string, bytes: Uint8Array): Member => ({ path, size: bytes.length, content: () => [bytes] })
const document = (path: string, value: unknown) => small(path, new TextEncoder().encode(JSON.stringify(value)))

interface Described {
  manifest: RawManifest
  config: Uint8Array
  platform: Platform
  diffIds: readonly string[]
  layers: readonly Descriptor[]
  members: readonly Member[]
}

/** The documents and layers of one image. */
function describe(paths: Paths, { record }: SavedImage, exact: boolean): Described {
  const config = readBlobFile(paths, record.id)
  if (config === null)
    throw new ToyboxError(`the config of ${record.name} is damaged`, { hint: "pull or load the image again" })
  const { diffIds, platform } = readConfig(config, `the config of ${record.name}`)
  const made = plainManifest(
    config,
    diffIds,
    record.layers.map((chainId) => tarSize(paths, chainId)),
  )
  const bytes = exact ? readBlobFile(paths, record.manifest) : null
  const manifest = bytes === null ? made : { bytes, digest: record.manifest, mediaType: undefined }
  const read = readManifest(manifest.bytes, `the manifest of ${record.name}`)
  const layers = read.kind === "manifest" ? read.layers : []
  const members = layers.map((layer, i): Member => {
    const kept = isPlain(layer) ? null : keptBlob(paths, layer)
    const content =
      kept === null
        ? () => layerTar(paths, record.layers[i] ?? "", diffIds[i] ?? "")
        : () => readKept(kept, layer.digest)
    return { path: blobPath(layer.digest), size: layer.size, content }
  })
  return {
    manifest: { ...manifest, mediaType: read.mediaType },
    config,
    platform: normalPlatform(platform),
    diffIds,
    layers,
    members: [small(blobPath(record.id), config), small(blobPath(manifest.digest), manifest.bytes), ...members],
  }
}

/** The entries of index.json: one for each name. */
function entries({ names }: SavedImage, { manifest, platform }: Described) {
  const descriptor = {
    mediaType: manifest.mediaType ?? OCI_MANIFEST,
    digest: manifest.digest,
    size: manifest.bytes.length,
    platform,
  }
  if (names.length === 0) return [descriptor]
  return names.map((name) => ({ ...descriptor, annotations: { [CONTAINERD_NAME]: name, [REF_NAME]: name } }))
}

const header = (path: string, size: number) =>
  writeHeader({ type: "file", path, mode: 0o644, uid: 0, gid: 0, size, mtime: 0 })
const directory = (path: string) => writeHeader({ type: "directory", path, mode: 0o755, uid: 0, gid: 0, mtime: 0 })

async function* writeMembers(members: readonly Member[], directories: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of directories) yield directory(path)
  for (const { path, size, content } of members) {
    yield header(path, size)
    let written = 0
    for await (const part of content()) {
      written += part.length
      if (written <= size) yield part
    }
    if (written !== size) throw new ToyboxError(`${path} has ${written} bytes instead of ${size}`)
    yield paddingFor(size)
  }
  yield END_OF_ARCHIVE
}

/** Says what an archive of images will be; nothing is written yet. Throws ToyboxError where an image is not whole. */
export function planSave(paths: Paths, images: readonly SavedImage[], format: ArchiveFormat): SavePlan {
  const all = images.map((image) => {
    const { record } = image
    const isPulled = format === "oci-archive" && !record.made
    return { image, described: describe(paths, image, isPulled && hasAllBlobs(paths, record)) }
  })
  const documents = [
    document("oci-layout", { imageLayoutVersion: "1.0.0" }),
    document("index.json", {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: all.flatMap(({ image, described }) => entries(image, described)),
    }),
    ...(format === "docker-archive"
      ? [
          document(
            DOCKER_MANIFEST_FILE,
            all.map(({ image, described }) => ({
              Config: blobPath(image.record.id),
              // The whole ones: podman takes docker's short forms for its own "localhost/".
              RepoTags: image.names,
              Layers: described.layers.map(({ digest }) => blobPath(digest)),
            })),
          ),
        ]
      : []),
  ]
  const members = new Map([...documents, ...all.flatMap(({ described }) => described.members)].map((m) => [m.path, m]))
  const algorithms = new Set([...members.keys()].flatMap((path) => /^blobs\/\w+\//.exec(path)?.[0] ?? []))
  const directories = ["blobs/", ...algorithms]
  const sizes = [...members.values()].map(
    ({ path, size }) => header(path, size).length + size + paddingFor(size).length,
  )
  return {
    size: sizes.reduce((sum, size) => sum + size, directories.length * 512 + END_OF_ARCHIVE.length),
    changed: all.flatMap(({ image: { record }, described: { manifest } }) =>
      format === "docker-archive" || record.made || manifest.digest === record.manifest
        ? []
        : [{ record, digest: manifest.digest }],
    ),
    write: () => writeMembers([...members.values()], directories),
  }
}
