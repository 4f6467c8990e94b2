/** The whole root of a container as a tar stream. */
import { O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open } from "../../ffi/fs.ts"
import { recover } from "../container/recover.ts"
import { containerPath, readHead, resolveId } from "../container/state.ts"
import { ToyboxError } from "../errors.ts"
import { writeTree } from "../image/layer/writer.ts"
import { openWorkspace } from "../image/store/workspace.ts"
import { overlayLayout } from "../overlay/layout.ts"
import { mountView } from "../overlay/view.ts"
import type { Paths } from "../paths.ts"

/** Its root without what is mounted in it. `links`: a path where a directory can be made. */
function openView(layers: readonly string[], upper: string, links: string): number {
  if (layers.length === 0) return open(upper, O_PATH | O_DIRECTORY)
  try {
    return mountView([upper, ...layers], links)
  } catch (error) {
    // Where overlayfs is refused now it was then, and the upper directory is the whole root.
    if (layers.length > 1 || !isErrno(error, "ENODEV", "EINVAL", "EOPNOTSUPP", "EPERM")) throw error
    return open(upper, O_PATH | O_DIRECTORY)
  }
}

/** Throws where a container is not there any more: what was read of it meanwhile may not have been all. */
export function assertStillThere(paths: Paths, id: string, reference: string): void {
  if (readHead(paths, id) === null) throw new ToyboxError(`container ${reference} was removed while it was read`)
}

/**
 * A container's root, running or not, by name or id: its layers and what it wrote on them; what is mounted in it is left
 * out, and its mount points are empty. Throws ToyboxError.
 */
export async function* wholeRoot(paths: Paths, reference: string): AsyncGenerator<Uint8Array> {
  recover(paths)
  const id = resolveId(paths, reference)
  const head = readHead(paths, id)
  if (head === null) throw new ToyboxError(`container ${reference} is being made or removed`)
  const layers = head.lower === undefined ? [] : [head.lower, ...(head.below ?? [])]
  const { upper } = overlayLayout(containerPath(paths, id))
  const workspace = openWorkspace(paths)
  try {
    const fd = openView(layers, upper, `${workspace.path}/layers`)
    try {
      yield* writeTree({ dirFd: fd, name: ".", path: "." }, { whiteouts: "none" })
      assertStillThere(paths, id, reference)
    } finally {
      close(fd)
    }
  } finally {
    workspace.remove()
  }
}
