/** Archives of images made by hand. */
import { digestOf } from "../../src/image/digest.ts"
import { type HandMade, tarArchive, tarEntry } from "./tar.ts"

export interface SavedByHand {
  /** Tar streams, the lowest layer first. */
  layers: readonly Uint8Array[]
  tags?: readonly string[] | null
  config?: Record<string, unknown>
}

const text = (value: unknown) => JSON.stringify(value)

/** A config of an image. */
export const configOf = ({ layers, config = {} }: SavedByHand): string =>
  text({
    os: "linux",
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
  })

/** What `docker save` writes, in the order it does: what says what the rest is comes last. `more` comes before that. */
export function dockerArchive(images: readonly SavedByHand[], ...more: HandMade[]): Buffer {
  const members: HandMade[] = []
  const list = images.map((image) => {
    const config = configOf(image)
    const Layers = image.layers.map((layer) => {
      const name = `${digestOf(layer).slice(7)}/layer.tar`
      if (!members.some((member) => member.name === name)) members.push({ name, content: layer })
      return name
    })
    const Config = `${digestOf(config).slice(7)}.json`
    members.push({ name: Config, content: config })
    return { Config, RepoTags: image.tags === undefined ? ["example.org/app:1"] : image.tags, Layers }
  })
  return tarArchive(...members, ...more, { name: "manifest.json", content: text(list) })
}

/** A tar file, as a layer. */
export const layerOf = (...entries: HandMade[]): Buffer => tarArchive(...entries.map((entry) => tarEntry(entry)))
