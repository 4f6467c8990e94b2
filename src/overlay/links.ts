/**
 * Short names for many layers. fsconfig(2) takes at most 255 bytes a value, whatever the kernel; "lowerdir+", which takes
 * a layer at a time, came with Linux 6.8 only. So each layer gets a link with a name of one byte, in one directory, from
 * which the mount is made: 127 of them and the colons between are 253 bytes, which leaves room for what a container wrote.
 */
import { call, callResult, failure } from "../../ffi/call.ts"
import { EEXIST } from "../../ffi/constants/errno.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, exists, mkdir, rename } from "../../ffi/fs.ts"
import { removeTree } from "../../ffi/remove-tree.ts"
import { ToyboxError } from "../errors.ts"

/** As many layers as docker allows. */
export const MAX_LAYERS = 127

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
// Then bytes that are no text: overlayfs splits at colons, and minds nothing else but backslashes.
const FIRST_BYTE = 0x80
const COLON = 0x3a

const nameOf = (index: number): number =>
  index < LETTERS.length ? LETTERS.charCodeAt(index) : FIRST_BYTE + index - LETTERS.length

/** The value of lowerdir for so many layers, with a closing NUL. */
export function lowerNames(count: number): Uint8Array {
  const bytes = new Uint8Array(count * 2)
  for (let i = 0; i < count; i++) {
    bytes[i * 2] = nameOf(i)
    bytes[i * 2 + 1] = i === count - 1 ? 0 : COLON
  }
  return bytes
}

/** Makes the links to layers, the top one first, in a directory of their own. */
export function linkLayers(directory: string, layers: readonly string[]): void {
  mkdir(directory, 0o700)
  const path = new Uint8Array([...new TextEncoder().encode(`${directory}/`), 0, 0])
  layers.forEach((layer, i) => {
    path[path.length - 2] = nameOf(i)
    const result = callResult("symlinkat", layer, AT_FDCWD, path)
    // Of another one's, killed here, that had the process id.
    if (result < 0 && result !== -EEXIST) throw failure("symlinkat", result, layer, directory)
  })
}

/**
 * Where the links to an image's layers are, beside its top layer, with which they go: made once, for all its containers. They
 * are relative, for all layers lie beside one another. Throws ToyboxError for more than 127.
 */
export function imageLinks(layers: readonly string[]): string {
  if (layers.length > MAX_LAYERS)
    throw new ToyboxError(`the image has ${layers.length} layers, and at most ${MAX_LAYERS} can be mounted`, {
      hint: "build it again with fewer layers, or flatten it",
    })
  const directory = `${directoryOf(layers[0] ?? "")}/layers`
  if (exists(directory)) return directory
  // Nobody sees half of them; of another one's that was killed there it has the name, and the links.
  const temporary = `${directory}.${process.pid}`
  const beside = directoryOf(directoryOf(directory))
  linkLayers(
    temporary,
    layers.map((layer) => `../..${layer.slice(beside.length)}`),
  )
  try {
    rename(temporary, directory)
  } catch (error) {
    if (!isErrno(error, "EEXIST", "ENOTEMPTY")) throw error
    removeTree(temporary)
  }
  return directory
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))

/** Does something with `directory` as the working directory of this process. */
export function inDirectory<T>(directory: string, action: () => T): T {
  const before = call("openat", AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
  try {
    call("chdir", directory)
    return action()
  } finally {
    call("fchdir", before)
    close(before)
  }
}
