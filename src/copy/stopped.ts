/**
 * A container that has ended: its layers, and what is mounted in it while it runs, in the places of this machine where that
 * is. Which of them a path means is told by the path itself; a symlink that leads from one to another is not followed.
 */
import { O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open } from "../../ffi/fs.ts"
import { type LookedInto, mountedAt } from "../container/look-into.ts"
import { ToyboxError } from "../errors.ts"
import { containerTree, type Located, pathInside, type Tree } from "./tree.ts"

const toText = (path: string) => Buffer.from(path, "latin1").toString("utf8")
const toBinary = (path: string) => Buffer.from(path, "utf8").toString("latin1")

/** `directory`: the container's own. Throws ToyboxError where a path leads to what is mounted and no directory. */
export function stoppedTree(
  { record, rootFd }: LookedInto,
  directory: string,
  name: string,
): { tree: Tree; close(): void } {
  const { spec } = record
  const opened = new Map<string, number>()

  const unreachable = (destination: string, source: string) =>
    new ToyboxError(`${name} does not run, and ${destination} is mounted only while it does`, {
      hint: `what is there is ${source}`,
    })

  function sourceFd(destination: string, source: string): number {
    const known = opened.get(destination)
    if (known !== undefined) return known
    try {
      const fd = open(source, O_PATH | O_DIRECTORY)
      opened.set(destination, fd)
      return fd
    } catch (error) {
      throw isErrno(error, "ENOTDIR", "ENOENT") ? unreachable(destination, source) : error
    }
  }

  function locate(path: string): Located {
    const names = path.split("/").filter((component) => component !== "" && component !== ".")
    const plain = `/${names.join("/")}`
    const mount = names.includes("..") ? null : mountedAt(spec, directory, toText(plain))
    if (mount === null) return { rootFd, path, readOnly: spec.root.readonly ?? false }
    const { destination, source, options } = mount
    const rest = plain.slice(toBinary(destination).replace(/\/$/, "").length)
    const readOnly = options.includes("ro") || options.includes("rro")
    return { rootFd: sourceFd(destination, source), path: rest === "" ? "/" : rest, readOnly }
  }

  const tree = containerTree(locate, name)
  return {
    tree: {
      ...tree,
      open(path, flags) {
        const fd = tree.open(path, flags)
        if (fd < 0 || locate(path).rootFd !== rootFd) return fd
        const mount = mountedAt(spec, directory, toText(pathInside(rootFd, fd)))
        if (mount === null) return fd
        close(fd)
        throw unreachable(mount.destination, mount.source)
      },
    },
    close() {
      for (const fd of opened.values()) close(fd)
    },
  }
}
