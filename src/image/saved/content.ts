/** The images of an archive, of docker's or the OCI's form, or of both at once, as docker writes it since version 25. */
import { ToyboxError } from "../../errors.ts"
import { digestOf } from "../digest.ts"
import { type Descriptor, MAX_MANIFEST, readManifest } from "../manifest.ts"
import { isIndex, isManifest, layerType } from "../media-types.ts"
import { familiarReference, formatReference, parseReference, type Reference, withDefaultTag } from "../reference.ts"
import { isLayout, layoutContent, layoutImage, REF_NAME, readLayoutBlob } from "../store/layout.ts"
import type { ImageOrigin } from "../store/remote.ts"
import { type DockerImage, dockerImages, dockerOrigin, readDockerConfig } from "./docker.ts"
import type { ImageFiles } from "./members.ts"

/** An image of an archive. */
export interface ArchivedImage {
  /** Whole references. */
  names: readonly string[]
  /** For people: what it is called there. */
  shown: string
  origin: ImageOrigin
}

// As containerd, and so docker, writes it.
export const CONTAINERD_NAME = "io.containerd.image.name"

/** The manifests that a layout leads to, through its indexes. */
function* manifestsOf(files: ImageFiles, descriptors: readonly Descriptor[], depth = 0): Generator<Descriptor> {
  for (const descriptor of descriptors) {
    if (isManifest(descriptor.mediaType)) yield descriptor
    if (!isIndex(descriptor.mediaType) || depth === 3) continue
    const bytes = files.size(`blobs/${descriptor.digest.replace(":", "/")}`)
    // docker leaves out what is not of this machine's platform.
    if (bytes === null) continue
    const index = readManifest(readLayoutBlob(files, descriptor.digest, MAX_MANIFEST), files.name, descriptor.mediaType)
    if (index.kind === "index") yield* manifestsOf(files, index.manifests, depth + 1)
  }
}

/** The manifest of a layout that has a config; undefined where there is none. */
function manifestWith(files: ImageFiles, config: string): Descriptor | undefined {
  for (const descriptor of manifestsOf(files, layoutContent(files))) {
    if (files.size(`blobs/${descriptor.digest.replace(":", "/")}`) === null) continue
    const bytes = readLayoutBlob(files, descriptor.digest, MAX_MANIFEST)
    // An attestation is no image.
    if (!new TextDecoder().decode(bytes).includes(config)) continue
    const manifest = readManifest(bytes, `the manifest ${descriptor.digest}`, descriptor.mediaType)
    if (manifest.kind !== "manifest" || manifest.config.digest !== config) continue
    // A manifest of plain layers is one that was made to save the image: nobody pulled it.
    const compressed = manifest.layers.some(({ mediaType }) => layerType(mediaType)?.compression !== "none")
    return compressed ? descriptor : undefined
  }
  return undefined
}

/** The image of an element of manifest.json; where the archive is a layout, too, as that has it, with its digests. */
export function dockerImageOrigin(files: ImageFiles, image: DockerImage): ImageOrigin {
  const config = isLayout(files) ? digestOf(readDockerConfig(files, image)) : null
  const descriptor = config === null ? undefined : manifestWith(files, config)
  return descriptor === undefined ? dockerOrigin(files, image) : layoutImage(files, () => descriptor)
}

/** A name is a whole one here: what docker would complete could be another image. */
const reference = (text: string): Reference => withDefaultTag(parseReference(text))

const named = (references: readonly Reference[], otherwise: string) => ({
  names: references.map(formatReference),
  shown: references[0] === undefined ? otherwise : familiarReference(references[0]),
})

/** The name of an image of a layout: a tag alone is none. */
function layoutName({ annotations }: Descriptor): Reference[] {
  const text = annotations?.[CONTAINERD_NAME] ?? annotations?.[REF_NAME]
  return text === undefined || !/[/:]/.test(text) ? [] : [reference(text)]
}

/** All images of an archive. Throws ToyboxError where it is none of images. */
export function archivedImages(files: ImageFiles): ArchivedImage[] {
  const saved = dockerImages(files)
  if (saved !== null) {
    return saved.map((image) => ({
      ...named(image.tags.map(reference), image.config),
      origin: dockerImageOrigin(files, image),
    }))
  }
  if (!isLayout(files)) {
    const hint =
      files.size("etc") !== null || files.size("bin/sh") !== null
        ? "it looks like a root file system: toybox run takes that as it is"
        : "an archive of images has manifest.json, or oci-layout and index.json"
    throw new ToyboxError(`${files.name} is no archive of images`, { hint })
  }
  // One image may be there under several names.
  const byDigest = new Map<string, { descriptor: Descriptor; names: Reference[] }>()
  for (const descriptor of layoutContent(files)) {
    const known = byDigest.get(descriptor.digest)
    if (known) known.names.push(...layoutName(descriptor))
    else byDigest.set(descriptor.digest, { descriptor, names: layoutName(descriptor) })
  }
  return [...byDigest.values()].map(({ descriptor, names }) => ({
    ...named(names, descriptor.annotations?.[REF_NAME] ?? descriptor.digest.slice(7, 19)),
    origin: layoutImage(files, () => descriptor),
  }))
}

/** The image of docker's archive that has a name, or is the only one. Throws ToyboxError. */
export function namedDockerImage(files: ImageFiles, name: Reference | undefined): ImageOrigin {
  const images = dockerImages(files)
  if (images === null)
    throw new ToyboxError(`${files.name} is no archive of docker save`, { hint: "it has no manifest.json" })
  const wanted = name === undefined ? undefined : formatReference(name)
  const has = ({ tags }: DockerImage) => tags.some((tag) => formatReference(reference(tag)) === wanted)
  const found = wanted === undefined ? images : images.filter(has)
  const [only] = found
  if (only === undefined || found.length > 1) {
    const what = wanted === undefined ? (only ? "several images" : "no image") : `no image ${wanted}`
    const tags = images.flatMap(({ tags }) => tags)
    throw new ToyboxError(`${files.name} has ${what}`, {
      hint: tags.length > 0 ? `it has ${tags.join(", ")}: give one after a colon` : undefined,
    })
  }
  return dockerImageOrigin(files, only)
}
