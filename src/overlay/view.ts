/** What a container has, seen from outside: its layers and what it wrote on them, without what is mounted in it. */
import { call } from "../../ffi/call.ts"
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_RDONLY,
} from "../../ffi/constants/mount.ts"
import { close } from "../../ffi/fs.ts"
import { inDirectory, linkLayers, lowerNames } from "./links.ts"

/**
 * Mounts layers, the top one first and two at least, detached and read-only: gone from the machine when the descriptor that
 * is returned is closed. The top one may be what a running container writes to: changes may or may not show (overlayfs.rst,
 * "Changes to underlying filesystems"). `links` is made for it. Throws SyscallError where overlayfs is refused.
 */
export function mountView(layers: readonly string[], links: string): number {
  linkLayers(links, layers)
  const fs = call("fsopen", "overlay", FSOPEN_CLOEXEC)
  try {
    const set = (key: string, value: string | Uint8Array) => call("fsconfig", fs, FSCONFIG_SET_STRING, key, value, 0)
    inDirectory(links, () => {
      set("source", "overlay")
      set("lowerdir", lowerNames(layers.length))
      // With an index an upper directory that is in use elsewhere is refused.
      for (const option of ["index", "redirect_dir", "metacopy"]) set(option, "off")
      call("fsconfig", fs, FSCONFIG_CMD_CREATE, null, null, 0)
    })
    return call("fsmount", fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY)
  } finally {
    close(fs)
  }
}
