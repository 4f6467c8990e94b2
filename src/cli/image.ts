/** An image as it is named on a command line. */
import { exists } from "../../ffi/fs.ts"
import { UsageError } from "../errors.ts"
import { familiarReference, formatReference } from "../image/reference.ts"
import { loadSettings } from "../image/registry/settings.ts"
import { type ImageSource, imageSource } from "../image/transport.ts"
import type { Paths } from "../paths.ts"
import { normalPath } from "./flags/path.ts"

/** What an image is called: in the store, and to people. */
export interface ImageName {
  source: ImageSource
  name: string
  shown: string
}

export const absolute = (path: string) => normalPath(path.startsWith("/") ? path : `${process.cwd()}/${path}`)

/** Reads an image's name; null where the word means a path, an address or the base image. Throws UsageError. */
export function imageName(word: string, paths: Paths): ImageName | null {
  const source = imageSource(word, loadSettings(paths.state).shortNames, exists)
  switch (source.kind) {
    case "registry": {
      const { reference } = source
      return { source, name: formatReference(reference), shown: familiarReference(reference) }
    }
    case "oci": {
      const name = `oci:${absolute(source.path)}${source.tag === undefined ? "" : `:${source.tag}`}`
      return { source, name, shown: name }
    }
    case "oci-archive":
    case "docker-archive":
      throw new UsageError(`${word}: images in archive files are not read yet`, {
        hint: "skopeo copy makes an oci: directory of one",
      })
    default:
      return null
  }
}
