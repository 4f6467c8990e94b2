/** openat2(2), with the patience that its manual asks for. */
import { callResult } from "./call.ts"
import type { Struct } from "./calls.ts"
import { OPEN_HOW_SIZE } from "./structs.ts"

const EAGAIN = -11

/**
 * The descriptor, or the negative errno. A way with ".." in it, be it of a symlink, is gone again when something on this machine
 * was renamed or mounted meanwhile: EAGAIN.
 */
export function openat2(dirFd: number, path: string | Uint8Array, how: Struct): number {
  for (;;) {
    const fd = callResult("openat2", dirFd, path, how, OPEN_HOW_SIZE)
    if (fd !== EAGAIN) return fd
  }
}
