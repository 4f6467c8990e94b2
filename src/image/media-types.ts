/** Media types of the OCI image specification and of Docker's second schema: media-types.md. */

export const OCI_INDEX = "application/vnd.oci.image.index.v1+json"
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
export const OCI_EMPTY = "application/vnd.oci.empty.v1+json"
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

const DOCKER_SCHEMA_1 = [
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
]

export const MANIFEST_TYPES: readonly string[] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST]

export const isIndex = (mediaType: string): boolean => mediaType === OCI_INDEX || mediaType === DOCKER_LIST
export const isManifest = (mediaType: string): boolean => mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST
export const isSchema1 = (mediaType: string): boolean => DOCKER_SCHEMA_1.includes(mediaType)
export const isConfig = (mediaType: string): boolean => mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG

/** What old registries have made of the config's type in manifests of Docker's: moby#22378, moby#30083. */
const OLD_CONFIGS = ["application/octet-stream", "application/json", "text/html", ""]

/** Whether a manifest is an image's by its own type and its config's. */
export const isImage = (manifest: string, config: string): boolean =>
  isConfig(config) || (manifest === DOCKER_MANIFEST && OLD_CONFIGS.includes(config))

/** "application/json; charset=utf-8" → "application/json". */
export const bareType = (header: string): string => (header.split(";", 1)[0] ?? "").trim().toLowerCase()

export type LayerCompression = "none" | "gzip" | "zstd"

export interface LayerType {
  compression: LayerCompression
  /** Its bytes may be elsewhere than in the registry: see `urls` of its descriptor. */
  foreign: boolean
}

const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(nondistributable\.)?v1\.tar|docker\.image\.rootfs\.(foreign\.)?diff\.tar)(?:[.+](gzip|zstd))?$/

/** What a layer's media type says; null for one that is not known (encrypted layers, artifacts). */
export function layerType(mediaType: string): LayerType | null {
  const found = LAYER.exec(mediaType)
  if (!found) return null
  const compression = found[3] === undefined ? "none" : (found[3] as LayerCompression)
  return { compression, foreign: found[1] !== undefined || found[2] !== undefined }
}
