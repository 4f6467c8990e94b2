/** What happens to images, as docker tells it. */
import { recordThings } from "../event-file.ts"
import type { Paths } from "../paths.ts"
import { familiarForm } from "./reference.ts"
import { type ImageRecord, isNameless } from "./store/records.ts"

/** Tells of what has happened to an image just now. */
export function recordImage(
  paths: Paths,
  action: "tag" | "untag" | "delete" | "import" | "load" | "save",
  { id, name }: Pick<ImageRecord, "id" | "name">,
): void {
  recordThings(paths, { type: "image", action, id, attributes: { name: familiarForm(name) } })
}

/** The same of what a registry has to do with: docker has the reference in the place of the id. */
export function recordTransfer(paths: Paths, action: "pull" | "push", shown: string): void {
  const name = shown.replace(/(:[^/:@]+)?(@.*)?$/, "")
  recordThings(paths, { type: "image", action, id: shown, attributes: { name } })
}

/** An image has lost its name; with `isLast` it is gone. */
export function recordRemoved(paths: Paths, image: ImageRecord, isLast: boolean): void {
  if (!isNameless(image)) recordImage(paths, "untag", image)
  if (isLast) recordImage(paths, "delete", { ...image, name: image.id })
}
