/** An image as docker inspect shows one, with podman's own fields. */
import { ToyboxError } from "../errors.ts"
import { layerPath, layerRoot } from "../image/cache/layers.ts"
import { type ImageConfig, readConfig } from "../image/config.ts"
import { familiarForm } from "../image/reference.ts"
import { parentOf } from "../image/store/parent.ts"
import { type ImageRecord, listImages, readBlobFile, storePaths } from "../image/store/records.ts"
import type { Paths } from "../paths.ts"
import { listOrNull, NEVER, omitEmpty } from "./go-values.ts"
import { familiarName, findStored, isReference } from "./image.ts"

/** What docker shows of the container that an image was made in, which is none. */
const OF_NO_CONTAINER = {
  ...{ Hostname: "", Domainname: "", Image: "" },
  ...{ AttachStdin: false, AttachStdout: false, AttachStderr: false, Tty: false, OpenStdin: false, StdinOnce: false },
}

const flags = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, {}]))

/** An image of the store by name or the beginning of its id, with its config. Throws ToyboxError. */
export function imageOf(paths: Paths, word: string): { record: ImageRecord; config: ImageConfig } {
  const { record } = findStored(paths, word)
  const bytes = readBlobFile(paths, record.id)
  if (bytes === null)
    throw new ToyboxError(`the config of ${word} is damaged or gone`, { hint: `toybox pull ${familiarName(record)}` })
  return { record, config: readConfig(bytes, `the config of ${word}`) }
}

/** Where its layers are. Nothing is mounted of an image alone. */
function graphDriver(paths: Paths, { layers }: ImageRecord) {
  const [UpperDir, ...lower] = layers.map((id) => layerRoot(layerPath(storePaths(paths), id))).toReversed()
  const LowerDir = lower.length === 0 ? undefined : lower.join(":")
  return { Name: "overlay2", Data: { LowerDir, UpperDir, WorkDir: undefined, MergedDir: undefined } }
}

export function inspectImage(paths: Paths, word: string): object {
  const { record, config } = imageOf(paths, word)
  const images = listImages(paths)
  const names = images.filter(({ id }) => id === record.id)
  const named = names.filter(isReference)
  const digests = new Set(names.flatMap(({ repoDigests = [] }) => repoDigests))
  const { ExposedPorts, Volumes, Env, Entrypoint, Cmd, Labels, ...rest } = config.config
  const { os, architecture, variant } = config.platform
  const shown = {
    Id: record.id,
    RepoTags: named
      .map(familiarName)
      .filter((name) => !name.includes("@"))
      .sort(),
    RepoDigests: [...digests].sort().map(familiarForm),
    Parent: parentOf(paths, images, record, config)?.id ?? "",
    Comment: config.history.at(-1)?.comment ?? "",
    Created: config.created ?? "",
    Container: config.container ?? "",
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Config: omitEmpty<object>(
      {
        ...OF_NO_CONTAINER,
        Env: listOrNull(Env),
        Entrypoint: listOrNull(Entrypoint),
        Cmd: listOrNull(Cmd),
        ExposedPorts: flags(ExposedPorts),
        Volumes: flags(Volumes),
        Labels,
        ...{ OnBuild: listOrNull([]), Shell: listOrNull([]), StopSignal: "" },
        ...rest,
      },
      { Healthcheck: null },
    ),
    Architecture: architecture,
    Variant: variant ?? "",
    Os: os,
    Size: record.size,
    VirtualSize: record.size,
    GraphDriver: graphDriver(paths, record),
    RootFS: { Type: "layers", Layers: config.diffIds },
    Metadata: {
      LastTagTime:
        named
          .map(({ pulled }) => pulled)
          .sort()
          .at(-1) ?? NEVER,
    },
    // Podman's.
    Digest: record.manifest,
    User: rest.User,
    Labels,
    History: config.history.map(({ empty_layer, ...step }) => (empty_layer ? { ...step, empty_layer } : step)),
  }
  return omitEmpty(shown, { OsVersion: "" })
}
