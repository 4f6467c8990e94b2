/** The whole root of a container as a tar stream. */
import { O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { close, exists, open } from "../../ffi/fs.ts"
import { recover } from "../container/recover.ts"
import { containerPath, readHead, resolveId } from "../container/state.ts"
import { ToyboxError } from "../errors.ts"
import { type WalkOptions, writeTree } from "../image/layer/writer.ts"
import { openWorkspace } from "../image/store/workspace.ts"
import { copyOf } from "../overlay/copied.ts"
import { overlayLayout } from "../overlay/layout.ts"
import { mountView } from "../overlay/view.ts"
import type { Paths } from "../paths.ts"

/** Its root without what is mounted in it. `links`: a path where a directory can be made. */
function openView(layers: readonly string[], container: string, links: string): number {
  const copy = copyOf(container)
  if (copy !== null) return open(copy, O_PATH | O_DIRECTORY)
  const { upper } = overlayLayout(container)
  // Made when it is started for the first time.
  const all = exists(upper) ? [upper, ...layers] : layers
  const [only, ...more] = all
  return only !== undefined && more.length === 0 ? open(only, O_PATH | O_DIRECTORY) : mountView(all, links)
}

/** Throws where a container is not there any more: what was read of it meanwhile may not have been all. */
export function assertStillThere(paths: Paths, id: string, reference: string): void {
  if (readHead(paths, id) === null) throw new ToyboxError(`container ${reference} was removed while it was read`)
}

/**
 * A container's root, running or not, by name or id: its layers and what it wrote on them; what is mounted in it is left
 * out, and its mount points are empty. Throws ToyboxError.
 */
export async function* wholeRoot(paths: Paths, reference: string, options: WalkOptions): AsyncGenerator<Uint8Array> {
  recover(paths)
  const id = resolveId(paths, reference)
  const head = readHead(paths, id)
  if (head === null) throw new ToyboxError(`container ${reference} is being made or removed`)
  const layers = head.lower === undefined ? [] : [head.lower, ...(head.below ?? [])]
  const workspace = openWorkspace(paths)
  try {
    const fd = openView(layers, containerPath(paths, id), `${workspace.path}/layers`)
    try {
      yield* writeTree({ dirFd: fd, name: ".", path: "." }, options)
      assertStillThere(paths, id, reference)
    } finally {
      close(fd)
    }
  } finally {
    workspace.remove()
  }
}
