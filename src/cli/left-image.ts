/** --rmi: an image goes with its container. */
import { errorChain } from "../errors.ts"
import { readImage } from "../image/store/records.ts"
import { collect, removeImage } from "../image/store/remove.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { imageUsers } from "./image-users.ts"

/**
 * Removes an image of the store by its name there, unless containers are made of it. None is no error; what else goes wrong is
 * told: how the command ended counts more.
 */
export async function removeLeftImage(paths: Paths, name: string): Promise<void> {
  const image = readImage(paths, name)
  const users = imageUsers(paths)
  if (image === null || users.ofImages().has(image.id)) return
  try {
    await removeImage(paths, image, users, false)
    await collect(paths, users)
  } catch (error) {
    notice(`--rmi: ${errorChain(error)}`)
  }
}
