/** The whole root of a container as a tar stream. */
import { callResult, scratch } from "../../ffi/call.ts"
import { O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { OVERLAYFS_SUPER_MAGIC } from "../../ffi/constants/magic.ts"
import { close, exists, open } from "../../ffi/fs.ts"
import { lookInto } from "../container/look-into.ts"
import { recover } from "../container/recover.ts"
import { containerPath, readHead, resolveId } from "../container/state.ts"
import { ToyboxError } from "../errors.ts"
import { type WalkOptions, writeTree } from "../image/layer/writer.ts"
import { openWorkspace } from "../image/store/workspace.ts"
import { copyOf } from "../overlay/copied.ts"
import { overlayLayout } from "../overlay/layout.ts"
import { mountView } from "../overlay/view.ts"
import type { Paths } from "../paths.ts"

const isOnOverlay = (path: string): boolean =>
  callResult("statfs", path, scratch.address) === 0 && scratch.word(0) === OVERLAYFS_SUPER_MAGIC

/** Its root without what is mounted in it. `links`: a path where a directory can be made. */
async function openView(paths: Paths, id: string, layers: readonly string[], links: string): Promise<number> {
  const container = containerPath(paths, id)
  const { upper } = overlayLayout(container)
  // What layers hide of one another the kernel does not know of there (whiteouts.ts): who looks into it copies them.
  if (layers.length > 1 && copyOf(container) === null && isOnOverlay(container)) (await lookInto(paths, id)).close()
  const copy = copyOf(container)
  if (copy !== null) return open(copy, O_PATH | O_DIRECTORY)
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
    const fd = await openView(paths, id, layers, `${workspace.path}/layers`)
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
