/** Names that images are given on a command line. */
import { UsageError } from "../errors.ts"
import { formatReference, parseReference, withDefaultTag } from "../image/reference.ts"
import { loadSettings } from "../image/registry/settings.ts"
import type { Paths } from "../paths.ts"

/** The whole reference that an image is to have. Throws UsageError. */
export function newName(paths: Paths, text: string): string {
  const reference = withDefaultTag(parseReference(text, loadSettings(paths.state).shortNames))
  if (reference.digest !== undefined)
    throw new UsageError(`${text}: a digest is what an image has, and cannot be given to it`)
  return formatReference(reference)
}
