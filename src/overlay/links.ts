/**
 * Short names for many layers. fsconfig(2) takes at most 255 bytes a value, whatever the kernel; "lowerdir+", which takes
 * a layer at a time, came with Linux 6.8 only. So each layer gets a link with a name of one byte, in one directory, from
 * which the mount is made: 127 of them and the colons between are 253 bytes.
 */
import { call, callResult, failure } from "../../ffi/call.ts"
import { EEXIST } from "../../ffi/constants/errno.ts"
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts"
import { close, mkdir } from "../../ffi/fs.ts"
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

/** Makes the links to layers, the top one first, in a directory of their own. Throws ToyboxError for more than 127. */
export function linkLayers(directory: string, layers: readonly string[]): void {
  if (layers.length > MAX_LAYERS)
    throw new ToyboxError(`the image has ${layers.length} layers, and at most ${MAX_LAYERS} can be mounted`, {
      hint: "build it again with fewer layers, or flatten it",
    })
  mkdir(directory, 0o700)
  const path = new Uint8Array([...new TextEncoder().encode(`${directory}/`), 0, 0])
  layers.forEach((layer, i) => {
    path[path.length - 2] = nameOf(i)
    const result = callResult("symlinkat", layer, AT_FDCWD, path)
    // A container that is started again has them.
    if (result < 0 && result !== -EEXIST) throw failure("symlinkat", result, layer, directory)
  })
}

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
