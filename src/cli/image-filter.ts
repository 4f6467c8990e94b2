/** `images --filter`, as docker images has it. */
import { readConfig } from "../image/config.ts"
import { parseReference, repositoryName } from "../image/reference.ts"
import { type ImageRecord, isNameless, listImages, readBlobFile } from "../image/store/records.ts"
import type { Paths } from "../paths.ts"
import { familiarName, findStored, isReference } from "./image.ts"
import { labelTest, listFilter, truth } from "./list-filter.ts"
import { logTime } from "./time.ts"

const madeAt = ({ created, pulled }: ImageRecord): number => Date.parse(created ?? pulled)

function labelsOf(paths: Paths, image: ImageRecord): Record<string, string> {
  const bytes = readBlobFile(paths, image.id)
  return bytes === null ? {} : readConfig(bytes, `the config of ${image.name}`).config.Labels
}

/** A pattern of shells, for the name with or without its tag. */
function referenceTest(pattern: string): (image: ImageRecord) => boolean {
  const glob = new Bun.Glob(pattern.replace(/^docker\.io\/(library\/)?/, ""))
  return (image) => {
    if (isNameless(image)) return false
    const name = familiarName(image)
    const tag = isReference(image) ? image.name.length - repositoryName(parseReference(image.name)).length : 0
    return glob.match(name) || glob.match(name.slice(0, name.length - tag))
  }
}

/** The images that all filters mean. Throws UsageError. */
export function chosenImages(paths: Paths, filters: readonly string[]): ImageRecord[] {
  const than = (word: string) => madeAt(findStored(paths, word).record)
  const now = Date.now()
  const isChosen = listFilter<ImageRecord>(filters, {
    reference: referenceTest,
    label(value) {
      const test = labelTest(value)
      return (image) => test({ labels: labelsOf(paths, image) })
    },
    dangling(value) {
      const wanted = truth("dangling", value)
      return (image) => isNameless(image) === wanted
    },
    before(word) {
      const time = than(word)
      return (image) => madeAt(image) < time
    },
    since(word) {
      const time = than(word)
      return (image) => madeAt(image) > time
    },
    until(value) {
      const time = Date.parse(logTime("--filter until", value, now) ?? "")
      return (image) => madeAt(image) < time
    },
  })
  return listImages(paths).filter(isChosen)
}
