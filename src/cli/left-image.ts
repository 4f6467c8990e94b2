/** --rmi: an image goes with its container. */
import { EXIT_CANNOT_INVOKE, EXIT_NOT_FOUND, errorChain, ToyboxError } from "../errors.ts"
import { readImage } from "../image/store/records.ts"
import { collect, removeImage } from "../image/store/remove.ts"
import { notice } from "../log.ts"
import type { Paths } from "../paths.ts"
import { imageUsers } from "./image-users.ts"

// There was a container, which has come to its end with that.
const ofCommand = (error: unknown): boolean =>
  error instanceof ToyboxError && [EXIT_CANNOT_INVOKE, EXIT_NOT_FOUND].includes(error.exitCode)

/**
 * Runs a container, and then removes its image; that stays where no container could be made. What runs in the background keeps it,
 * and its supervisor removes it.
 */
export async function withoutImage(paths: Paths, name: string, run: () => Promise<number>): Promise<number> {
  try {
    const exitCode = await run()
    await removeLeftImage(paths, name)
    return exitCode
  } catch (error) {
    if (ofCommand(error)) await removeLeftImage(paths, name)
    throw error
  }
}

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
