/** An image as docker inspect shows one. */
import { ToyboxError } from "../errors.ts"
import { type ImageConfig, readConfig } from "../image/config.ts"
import { familiarForm } from "../image/reference.ts"
import { type ImageRecord, listImages, readBlobFile } from "../image/store/records.ts"
import type { Paths } from "../paths.ts"
import { familiarName, findStored, isReference } from "./image.ts"

const flags = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, {}]))

/** An image of the store by name or the beginning of its id, with its config. Throws ToyboxError. */
export function imageOf(paths: Paths, word: string): { record: ImageRecord; config: ImageConfig } {
  const { record } = findStored(paths, word)
  const bytes = readBlobFile(paths, record.id)
  if (bytes === null)
    throw new ToyboxError(`the config of ${word} is damaged or gone`, { hint: `toybox pull ${familiarName(record)}` })
  return { record, config: readConfig(bytes, `the config of ${word}`) }
}

export function inspectImage(paths: Paths, word: string): object {
  const { record, config } = imageOf(paths, word)
  const names = listImages(paths).filter(({ id }) => id === record.id)
  const tags = names.filter(isReference).map(familiarName)
  const digests = new Set(names.flatMap(({ repoDigests = [] }) => repoDigests))
  const { ExposedPorts, Volumes, ...rest } = config.config
  const { os, architecture, variant } = config.platform
  return {
    Id: record.id,
    RepoTags: tags.filter((name) => !name.includes("@")).sort(),
    RepoDigests: [...digests].sort().map(familiarForm),
    Created: config.created ?? "",
    Author: config.author ?? "",
    Config: { ...rest, ExposedPorts: flags(ExposedPorts), Volumes: flags(Volumes) },
    Architecture: architecture,
    ...(variant ? { Variant: variant } : {}),
    Os: os,
    Size: record.size,
    RootFS: { Type: "layers", Layers: config.diffIds },
  }
}
