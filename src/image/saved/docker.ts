/** The archives of `docker save`, podman and skopeo: manifest.json with the config and the layers of each image. */
import { ToyboxError } from "../../errors.ts"
import { readConfig } from "../config.ts"
import { decodeJson, type Field, list, member, optional, string, strings } from "../decode.ts"
import { digestOf } from "../digest.ts"
import { decompress, isCompressed } from "../layer/decompress.ts"
import { MAX_CONFIG, MAX_MANIFEST } from "../manifest.ts"
import type { RawManifest } from "../registry/manifests.ts"
import { plainManifest } from "../store/put.ts"
import type { ImageOrigin } from "../store/remote.ts"
import type { ImageFiles } from "./members.ts"

export const DOCKER_MANIFEST_FILE = "manifest.json"

const MOST_IMAGES = 10_000
const MOST_LAYERS = 500

/** One element of manifest.json. */
export interface DockerImage {
  /** Path of the config. */
  config: string
  /** References as they are written there. */
  tags: readonly string[]
  /** Paths of the layers, the lowest first. */
  layers: readonly string[]
}

const dockerImage = (field: Field): DockerImage => ({
  config: string(member(field, "Config")),
  // Go writes null for none.
  tags: optional(member(field, "RepoTags"), strings) ?? [],
  layers: (optional(member(field, "Layers"), (layers) => list(layers, MOST_LAYERS)) ?? []).map(string),
})

/** The images of an archive; null where it is none of docker's. Throws ToyboxError that names the field. */
export function dockerImages(files: ImageFiles): DockerImage[] | null {
  const bytes = files.read(DOCKER_MANIFEST_FILE, MAX_MANIFEST)
  if (bytes === null) return null
  return list(decodeJson(bytes, `manifest.json of ${files.name}`), MOST_IMAGES).map(dockerImage)
}

/** The config of an image, as it stands. */
export function readDockerConfig(files: ImageFiles, { config }: DockerImage): Uint8Array {
  const bytes = files.read(config, MAX_CONFIG)
  if (bytes === null) throw new ToyboxError(`${files.name} has no ${config}`, { hint: "the archive is not whole" })
  // Everybody names it by its digest, which nothing else in the archive tells.
  const hex = /(?:^|\W)([0-9a-f]{64})(?:\.json)?$/.exec(config)?.[1]
  if (hex !== undefined && digestOf(bytes) !== `sha256:${hex}`)
    throw new ToyboxError(`${files.name}: the config ${config} is not what its name says`, {
      hint: "the archive is damaged",
    })
  return bytes
}

/** Bytes of a layer's tar stream. They are as many as are stored, but a few programs compress layers in here, too. */
async function plainSize(files: ImageFiles, path: string): Promise<number> {
  const stream = () => files.stream(path)
  const stored = files.size(path)
  if (stored === null) throw new ToyboxError(`${files.name} has no ${path}`, { hint: "the archive is not whole" })
  for await (const first of stream()) {
    if (!isCompressed(first)) return stored
    break
  }
  let size = 0
  for await (const part of decompress(stream(), `${files.name}: ${path}`)) size += part.length
  return size
}

/** An image of such an archive, under the manifest of plain layers that is made for it. */
export function dockerOrigin(files: ImageFiles, image: DockerImage): ImageOrigin {
  const config = readDockerConfig(files, image)
  const { diffIds } = readConfig(config, `${image.config} of ${files.name}`)
  if (diffIds.length !== image.layers.length)
    throw new ToyboxError(
      `${files.name}: manifest.json has ${image.layers.length} layers for ${image.config}, which knows ${diffIds.length}`,
    )
  const paths = new Map(diffIds.map((diffId, i) => [diffId, image.layers[i] ?? ""]))
  let made: Promise<RawManifest> | undefined
  const manifest = () => {
    made ??= Promise.all(image.layers.map((path) => plainSize(files, path))).then((sizes) =>
      plainManifest(config, diffIds, sizes),
    )
    return made
  }
  return {
    made: true,
    digest: async () => (await manifest()).digest,
    manifest,
    blob: async ({ digest }) => {
      if (digest !== digestOf(config)) throw new ToyboxError(`${files.name} has no blob ${digest}`)
      return config
    },
    stream: ({ digest }) => files.stream(paths.get(digest) ?? digest),
  }
}
