/** The root file system of a container: made by its own process, looked into by toybox beforehand. */
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { errnoName } from "../../ffi/errno.ts"
import { exists, stat } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import { type Encoded, ListFailure, mountRoot, type Reports } from "../launch/index.ts"
import { notice } from "../log.ts"
import { copyLayers, copyOf, settleCopy } from "../overlay/copied.ts"
import { copySteps, type OverlayLayout, overlayLayout, overlaySteps } from "../overlay/layout.ts"
import type { Step } from "../plan/steps.ts"
import type { ContainerRequest } from "./request.ts"

/** How a container's process makes its root. */
export interface Root {
  /** For what is looked up in it: the image's directory, which a new container's root is the same as, or the root itself. */
  fd: number
  /** None where `fd` is the root, mounted. */
  steps: Step[]
}

/** Mode and owner that the upper directory gets: those of the image's root. One that is there keeps what the container made of it. */
const ownerOf = (lower: string, { upper }: OverlayLayout) => (exists(upper) ? null : stat(lower))

/** Mounts the layers of an image, which only together tell what is in it. */
async function layeredRoot(request: ContainerRequest, directory: string): Promise<Root> {
  const { lower, below, autoRemove } = request
  const { imageLinks, inDirectory, lowerNames } = await import("../overlay/links.ts")
  const links = imageLinks([lower, ...below])
  const layout = overlayLayout(directory)
  const layers = { below, links: lowerNames(below.length + 1) }
  const steps = overlaySteps(lower, layout, autoRemove, ownerOf(lower, layout), layers)
  let fd: number
  try {
    fd = inDirectory(links, () => mountRoot(steps))
  } catch (error) {
    const refusal = mountRefusal(error)
    if (refusal === null) throw error
    return copiedRoot(request, directory, refusal)
  }
  return { fd, steps: [] }
}

/** The root of a container: an overlay on the image. Throws ToyboxError where the image's directory is gone. */
export async function newRoot(request: ContainerRequest, directory: string): Promise<Root> {
  if (!exists(request.lower))
    throw new ToyboxError(`the root file system of ${request.image} is gone: ${request.lower}`, {
      hint: "bring it back, or make a new container",
    })
  if (copyOf(directory) !== null) return copiedBefore(directory)
  if (request.below.length > 0) return layeredRoot(request, directory)
  const layout = overlayLayout(directory)
  return {
    fd: call("openat", AT_FDCWD, request.lower, O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
    steps: overlaySteps(request.lower, layout, request.autoRemove, ownerOf(request.lower, layout)),
  }
}

// overlayfs is not there (ENODEV), or will not take these directories (EINVAL: e.g. an upper directory on an overlay).
const OVERLAY_REFUSED = ["ENODEV", "EINVAL", "EOPNOTSUPP", "EPERM"]

function refusalOf({ steps, calls }: Encoded, { index, errno }: { index: number; errno: number }): string | null {
  const failed = calls[index]
  if (!failed || failed.step === undefined || steps[failed.step]?.kind !== "overlay") return null
  const name = errnoName(errno)
  return OVERLAY_REFUSED.includes(name) && failed.name.startsWith("fs") ? `${failed.name}: ${name}` : null
}

/** What refused the overlay, where that is why it was not mounted here; null where it is something else. */
export const mountRefusal = (error: unknown): string | null =>
  error instanceof ListFailure ? refusalOf(error, error) : null

/** What refused the overlay, where that is why the container's process ended: `fsopen: ENODEV`. */
export function overlayRefusal(encoded: Encoded, { failures }: Reports): string | null {
  const [failure] = failures
  return failure ? refusalOf(encoded, failure) : null
}

/** A root that was copied before. */
function copiedBefore(directory: string): Root {
  settleCopy(directory)
  const layout = overlayLayout(directory)
  return {
    fd: call("openat", AT_FDCWD, layout.upper, O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
    steps: copySteps(layout.upper, layout),
  }
}

/** Instead of an overlay: copies the image's layers for this container, with a warning. Throws ToyboxError. */
export async function copiedRoot(
  { lower, below }: Pick<ContainerRequest, "lower" | "below">,
  directory: string,
  refusal: string,
): Promise<Root> {
  notice(`overlayfs is refused here (${refusal}): the root is copied, which takes time and space`)
  await copyLayers(directory, [lower, ...below])
  return copiedBefore(directory)
}
