/** The root file system of a container: made by its own process, looked into by toybox beforehand. */
import { call } from "../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { errnoName } from "../../ffi/errno.ts"
import { close, exists, mkdir, stat, writeFile } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import { type Encoded, mountRoot, type Reports } from "../launch/index.ts"
import { notice } from "../log.ts"
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

// Above what toybox opens by itself.
const FREE_FDS = 64

/** Mode and owner that the upper directory gets: those of the image's root. One that is there keeps what the container made of it. */
const ownerOf = (lower: string, { upper }: OverlayLayout) => (exists(upper) ? null : stat(lower))

/** Mounts the layers of an image, which only together tell what is in it. */
async function layeredRoot({ lower, below, autoRemove }: ContainerRequest, directory: string): Promise<Root> {
  const { inDirectory, linkLayers, lowerNames } = await import("../overlay/links.ts")
  const links = `${directory}/layers`
  linkLayers(links, [lower, ...below])
  const layout = overlayLayout(directory)
  const layers = { below, links: lowerNames(below.length + 1) }
  const steps = overlaySteps(lower, layout, autoRemove, ownerOf(lower, layout), layers)
  const fd = inDirectory(links, () => mountRoot(steps, FREE_FDS))
  for (const taken of [0, 1, 2]) close(FREE_FDS + taken)
  return { fd, steps: [] }
}

/** The root of a container: an overlay on the image. Throws ToyboxError where the image's directory is gone. */
export async function newRoot(request: ContainerRequest, directory: string): Promise<Root> {
  if (!exists(request.lower))
    throw new ToyboxError(`the root file system of ${request.image} is gone: ${request.lower}`, {
      hint: "bring it back, or make a new container",
    })
  if (request.below.length > 0) return layeredRoot(request, directory)
  const layout = overlayLayout(directory)
  return {
    fd: call("openat", AT_FDCWD, request.lower, O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
    steps: overlaySteps(request.lower, layout, request.autoRemove, ownerOf(request.lower, layout)),
  }
}

// overlayfs is not there (ENODEV), or will not take these directories (EINVAL: e.g. an upper directory on an overlay).
const OVERLAY_REFUSED = ["ENODEV", "EINVAL", "EOPNOTSUPP", "EPERM"]

/** What refused the overlay, where that is why the container's process ended: `fsopen: ENODEV`. */
export function overlayRefusal({ steps, calls }: Encoded, { failures }: Reports): string | null {
  const [failure] = failures
  const failed = failure && calls[failure.index]
  if (!failed || failed.step === undefined || steps[failed.step]?.kind !== "overlay") return null
  const errno = errnoName(failure.errno)
  return OVERLAY_REFUSED.includes(errno) && failed.name.startsWith("fs") ? `${failed.name}: ${errno}` : null
}

/** Instead of an overlay: copies the image for this container, with a warning, unless it was when it ran before. */
export async function copiedRoot(
  request: ContainerRequest,
  directory: string,
  root: Root,
  refusal: string,
): Promise<Root> {
  const layout = overlayLayout(directory)
  const mark = `${directory}/copied`
  const copied = { fd: root.fd, steps: copySteps(layout.upper, layout) }
  if (exists(mark)) return copied
  notice(`overlayfs is refused here (${refusal}): the root is copied, which takes time and space`)
  const { copyTree } = await import("../overlay/copy.ts")
  mkdir(layout.upper, 0o755)
  copyTree(request.lower, layout.upper)
  writeFile(mark, "")
  return copied
}
