/** Manifests and indexes, read and checked: manifest.md, image-index.md, descriptor.md; Docker's schema 2. */
import { ToyboxError } from "../errors.ts"
import {
  count,
  decodeJson,
  type Field,
  fault,
  isPresent,
  list,
  member,
  optional,
  string,
  stringMap,
  strings,
} from "./decode.ts"
import { digestFault, matches } from "./digest.ts"
import {
  bareType,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  isConfig,
  isImage,
  isIndex,
  isManifest,
  isSchema1,
  layerType,
  OCI_INDEX,
  OCI_MANIFEST,
} from "./media-types.ts"
import type { Platform } from "./platform.ts"

/** The most bytes that a manifest or an index may have, as registries and engines have it. */
export const MAX_MANIFEST = 4 * 1024 * 1024
/** The most bytes of an image's config. */
export const MAX_CONFIG = 32 * 1024 * 1024

const MAX_LAYERS = 500
const MAX_MANIFESTS = 10_000

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  /** Bytes. */
  readonly size: number
  /** The content itself, already compared with the digest. */
  readonly data?: Uint8Array
  /** Where else the content can be had. */
  readonly urls?: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: Platform
  /** Of a manifest in an index: what it is, where that is no image. */
  readonly artifactType?: string
}

export interface Manifest {
  readonly kind: "manifest"
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

export interface Index {
  readonly kind: "index"
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

/** Reads a digest; the error names the field. */
export function digestField(field: Field): string {
  const text = string(field)
  const why = digestFault(text)
  if (why !== null) throw fault(field, `"${text.slice(0, 150)}" is not a digest: ${why}`)
  return text
}

function platformField(field: Field): Platform {
  const variant = optional(member(field, "variant"), string)
  return {
    os: string(member(field, "os")),
    architecture: string(member(field, "architecture")),
    ...(variant === undefined || variant === "" ? {} : { variant }),
  }
}

function dataField(field: Field, digest: string, size: number): Uint8Array {
  const bytes = Buffer.from(string(field), "base64")
  if (bytes.length !== size || !matches(bytes, digest)) throw fault(field, "is not what the digest and size say")
  return bytes
}

/** Reads one descriptor. */
export function descriptor(field: Field): Descriptor {
  const digest = digestField(member(field, "digest"))
  const size = count(member(field, "size"))
  const data = optional(member(field, "data"), (data) => dataField(data, digest, size))
  const urls = optional(member(field, "urls"), strings)
  const annotations = optional(member(field, "annotations"), stringMap)
  const platform = optional(member(field, "platform"), platformField)
  const artifactType = optional(member(field, "artifactType"), string)
  return {
    mediaType: string(member(field, "mediaType")),
    digest,
    size,
    ...(data === undefined ? {} : { data }),
    ...(urls === undefined ? {} : { urls }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
    ...(artifactType === undefined ? {} : { artifactType }),
  }
}

function layerDescriptor(field: Field): Descriptor {
  const found = descriptor(field)
  if (layerType(found.mediaType) === null)
    throw fault(field, `a layer of the media type "${found.mediaType}" cannot be unpacked`)
  return found
}

function configDescriptor(field: Field, type: string, artifactType: string | undefined): Descriptor {
  const found = descriptor(field)
  if (artifactType !== undefined || !isImage(type, found.mediaType)) {
    const what = artifactType ?? found.mediaType
    throw fault(field, `this is an artifact of type "${what}", and no image that can be run`)
  }
  if (found.size > MAX_CONFIG) throw fault(field, `${found.size} bytes are more than a config may have (${MAX_CONFIG})`)
  return found
}

/**
 * What kind of document it is. `mediaType` is what the registry or the descriptor says; the document's own must agree, and
 * it must not be read as the other kind, too: CVE-2021-41190.
 */
function documentType(root: Field, mediaType: string | undefined): string {
  const version = member(root, "schemaVersion")
  if (version.value === 1 || (mediaType !== undefined && isSchema1(mediaType)))
    throw new ToyboxError(`${root.document} is a manifest of Docker's schema 1, which nobody should use any more`, {
      hint: "push the image again with a current docker, podman or skopeo",
    })
  if (version.value !== 2) throw fault(version, "must be 2")
  const own = optional(member(root, "mediaType"), string)
  const hasManifests = isPresent(member(root, "manifests"))
  const hasLayers = isPresent(member(root, "layers")) || isPresent(member(root, "config"))
  if (hasManifests && hasLayers)
    throw fault(root, "has both manifests and layers, and so is neither index nor manifest")
  const told = mediaType === undefined || !(isIndex(mediaType) || isManifest(mediaType)) ? undefined : mediaType
  if (own !== undefined && told !== undefined && own !== told)
    throw fault(member(root, "mediaType"), `is "${own.slice(0, 150)}", but the registry says ${told}`)
  const type = own ?? told ?? (hasManifests ? OCI_INDEX : OCI_MANIFEST)
  if (!isIndex(type) && !isManifest(type))
    throw fault(root, `"${type.slice(0, 150)}" is neither a manifest nor an index`)
  if (isIndex(type) ? hasLayers : hasManifests) throw fault(root, `is not what its media type says (${type})`)
  return type
}

/** An empty list is null where Go has written it. */
const elements = (field: Field, most: number): Field[] => (field.value === null ? [] : list(field, most))

/**
 * Reads a manifest or an index. `mediaType` is the Content-Type or the descriptor's, where there is one. Throws ToyboxError
 * that names the field.
 */
export function readManifest(bytes: Uint8Array, document: string, mediaType?: string): Manifest | Index {
  if (bytes.length > MAX_MANIFEST)
    throw new ToyboxError(`${document} has ${bytes.length} bytes, ${MAX_MANIFEST} are allowed`)
  const root = decodeJson(bytes, document)
  const type = documentType(root, mediaType === undefined ? undefined : bareType(mediaType))
  const annotations = optional(member(root, "annotations"), stringMap) ?? {}
  if (isIndex(type)) {
    const manifests = elements(member(root, "manifests"), MAX_MANIFESTS).map(descriptor)
    return { kind: "index", mediaType: type, manifests, annotations }
  }
  const artifactType = optional(member(root, "artifactType"), string)
  const config = configDescriptor(member(root, "config"), type, artifactType === "" ? undefined : artifactType)
  const layers = elements(member(root, "layers"), MAX_LAYERS).map(layerDescriptor)
  return { kind: "manifest", mediaType: type, config, layers, annotations }
}

/** Whether a descriptor of an index leads to a further manifest, and not to an attestation or another artifact. */
export const isRunnable = ({ mediaType, annotations, artifactType }: Descriptor): boolean =>
  (mediaType === OCI_MANIFEST ||
    mediaType === DOCKER_MANIFEST ||
    mediaType === OCI_INDEX ||
    mediaType === DOCKER_LIST) &&
  // Of an image it may be the type of its config.
  (!artifactType || isConfig(artifactType)) &&
  annotations?.["vnd.docker.reference.type"] !== "attestation-manifest"
