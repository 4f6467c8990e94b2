/** The root file system of a container. */
import { errnoName } from "../../ffi/errno.ts"
import { close, stat } from "../../ffi/fs.ts"
import { ListFailure, mountRoot } from "../launch/index.ts"
import { notice } from "../log.ts"
import { copySteps, overlayLayout, overlaySteps } from "../overlay/layout.ts"
import { reserveFds } from "./facts.ts"
import type { ContainerRequest } from "./request.ts"

// overlayfs is not there (ENODEV), or will not take these directories (EINVAL: e.g. an upper directory on an overlay).
const OVERLAY_REFUSED = ["ENODEV", "EINVAL", "EOPNOTSUPP", "EPERM"]

/** Mounts the root, detached; returns its fd. Where overlayfs is refused the root is copied, with a warning. */
export async function openRoot(request: ContainerRequest, directory: string): Promise<number> {
  const layout = overlayLayout(directory)
  const reserved = reserveFds()
  try {
    return mountRoot(overlaySteps(request.lower, layout, request.autoRemove, stat(request.lower)), reserved)
  } catch (error) {
    if (!(error instanceof ListFailure)) throw error
    const refused = error.calls[error.index]?.name ?? ""
    const errno = errnoName(error.errno)
    if (!OVERLAY_REFUSED.includes(errno) || !refused.startsWith("fs")) throw error
    notice(`overlayfs is refused here (${refused}: ${errno}): the root is copied, which takes time and space`)
    const { copyTree } = await import("../overlay/copy.ts")
    copyTree(request.lower, layout.upper)
    return mountRoot(copySteps(layout.upper, layout), reserved)
  } finally {
    for (const fd of reserved) close(fd)
  }
}
