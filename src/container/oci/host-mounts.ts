/** A container without a mount namespace of its own: its root is mounted where others see it, until it is deleted. */
import { callResult } from "../../../ffi/call.ts"
import { O_PATH } from "../../../ffi/constants/fcntl.ts"
import { MNT_DETACH, UMOUNT_NOFOLLOW } from "../../../ffi/constants/mount.ts"
import { close, exists, open, readText } from "../../../ffi/fs.ts"
import type { Spec } from "../../oci/runtime.ts"
import { isNew } from "../../plan/namespaces.ts"
import { inMountNamespace } from "../mount-namespace.ts"
import type { OciRecord } from "./record.ts"

/** The id of the mount that a path is on: proc_pid_fdinfo(5). */
function mountOf(path: string): number {
  const fd = open(path, O_PATH)
  try {
    return Number(/^mnt_id:\s*(\d+)$/m.exec(readText(`/proc/self/fdinfo/${fd}`))?.[1])
  } finally {
    close(fd)
  }
}

/** What has to be remembered of the root's place before the container is made, if its root is to be mounted among others. */
export const placeOfRoot = (spec: Spec): number | undefined =>
  isNew(spec, "mount") ? undefined : mountOf(spec.root.path)

const unmount = (path: string) => callResult("umount2", path, MNT_DETACH | UMOUNT_NOFOLLOW)

/** Unmounts the root of a container that has ended, and no mount of anybody else's at its place. */
export function unmountRoot({ rootfs, rootMount, complete }: OciRecord, spec: Spec): void {
  if (rootMount === undefined) return
  const path = spec.linux.namespaces.find(({ type }) => type === "mount")?.path
  if (path === undefined) {
    if (exists(rootfs) && mountOf(rootfs) !== rootMount) unmount(rootfs)
  } else if (complete && exists(path)) inMountNamespace(path, () => unmount(rootfs))
}
