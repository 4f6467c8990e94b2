/** A container without a mount namespace of its own: its root is mounted where others see it, until it is deleted. */
import { call, callResult, scratch } from "../../../ffi/call.ts"
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../../../ffi/constants/fcntl.ts"
import { MNT_DETACH, UMOUNT_NOFOLLOW } from "../../../ffi/constants/mount.ts"
import { STATX_MNT_ID, STATX_MNT_ID_UNIQUE } from "../../../ffi/constants/stat.ts"
import { exists } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import type { Spec } from "../../oci/runtime.ts"
import { isNew } from "../../plan/namespaces.ts"
import { inMountNamespace } from "../mount-namespace.ts"
import type { OciRecord } from "./record.ts"
import { listRecords, lockContainer, readRecord, unlock, writeRecord } from "./state.ts"

/** The id of the mount that a path, or a descriptor, is on: statx(2). From Linux 6.8 on no other mount ever gets it again. */
function mountOf(path: string, fd = AT_FDCWD): number {
  const flags = path === "" ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW
  call("statx", fd, path, flags, STATX_MNT_ID | STATX_MNT_ID_UNIQUE, scratch.address)
  return scratch.word(144)
}

/** Remembers the mount of a container's root, held by descriptor, before it is attached among others' mounts. */
export function rememberRoot(root: string, record: OciRecord, spec: Spec, rootFd: number): void {
  if (isNew(spec, "mount")) return
  record.rootMounts = [mountOf("", rootFd)]
  writeRecord(root, record)
}

/** Unmounts those of `ids` that nothing covers; returns the id of what is at the path then, null where there is nothing. */
function unmount(path: string, ids: readonly number[]): number | null {
  while (exists(path)) {
    const top = mountOf(path)
    if (!ids.includes(top) || callResult("umount2", path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) return top
  }
  return null
}

/** What the root of another container covers cannot be reached: it goes with that one. */
function leaveTo(root: string, top: number, ids: readonly number[]): void {
  const above = listRecords(root).find(({ rootMounts }) => rootMounts?.includes(top))
  if (above === undefined) return
  const lock = lockContainer(root, above.id)
  try {
    const record = readRecord(root, above.id)
    writeRecord(root, { ...record, rootMounts: [...(record.rootMounts ?? []), ...ids] })
  } finally {
    unlock(lock)
  }
}

/** Unmounts the root of a container that has ended, and no mount of anybody else's at its place. Throws ToyboxError. */
export function unmountRoot(root: string, { id, rootfs, rootMounts }: OciRecord, spec: Spec): void {
  if (rootMounts === undefined) return
  const path = spec.linux.namespaces.find(({ type }) => type === "mount")?.path
  if (path !== undefined && !exists(path)) return
  const act = () => unmount(rootfs, rootMounts)
  try {
    const top = path === undefined ? act() : inMountNamespace(path, act)
    if (top !== null && !rootMounts.includes(top)) leaveTo(root, top, rootMounts)
  } catch (cause) {
    throw new ToyboxError(`cannot unmount the root of container ${id}, ${rootfs}`, { cause })
  }
}
