/** A container without a mount namespace of its own: its root is mounted where others see it, until it is deleted. */
import { call, callResult, scratch } from "../../../ffi/call.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
} from "../../../ffi/constants/fcntl.ts"
import { MNT_DETACH, UMOUNT_NOFOLLOW } from "../../../ffi/constants/mount.ts"
import { STATX_MNT_ID, STATX_MNT_ID_UNIQUE } from "../../../ffi/constants/stat.ts"
import { close, exists, mkdirAll, open, stat } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import type { Spec } from "../../oci/runtime.ts"
import { isNew } from "../../plan/namespaces.ts"
import { bootId } from "../../state-file.ts"
import { inMountNamespace } from "../mount-namespace.ts"
import type { OciRecord } from "./record.ts"
import { defaultRoot, writeRecord } from "./state.ts"

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

/**
 * Where the mounts are told of that no command could reach, as the root of another container covered them: a file each, by id.
 * One place for all state directories: who uncovers them may have another. The ids are of one boot.
 */
const coveredDirectory = () => `${defaultRoot()}/.covered/${bootId()}`

/** Reads the covered mounts through a descriptor, also from the mount namespace of others. */
class Covered {
  readonly #fd: number

  constructor() {
    const directory = coveredDirectory()
    mkdirAll(directory, 0o700)
    this.#fd = open(directory, O_PATH | O_DIRECTORY)
  }

  has = (id: number): boolean => stat(String(id), AT_SYMLINK_NOFOLLOW, this.#fd) !== null
  add = (id: number): void => close(call("openat", this.#fd, String(id), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
  delete = (id: number): void => void callResult("unlinkat", this.#fd, String(id), 0)
  close = (): void => close(this.#fd)
}

/** Unmounts, from the top, those of `left` and those that had been covered; takes them out of both. */
function unmountTop(path: string, left: Set<number>, covered: Covered): void {
  while (exists(path)) {
    const top = mountOf(path)
    if (!left.has(top) && !covered.has(top)) return
    if (callResult("umount2", path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) return
    left.delete(top)
    covered.delete(top)
  }
}

/** Unmounts the root of a container that has ended, and no mount of anybody else's at its place. Throws ToyboxError. */
export function unmountRoot({ id, rootfs, rootMounts }: OciRecord, spec: Spec): void {
  if (rootMounts === undefined) return
  const path = spec.linux.namespaces.find(({ type }) => type === "mount")?.path
  if (path !== undefined && !exists(path)) return
  const covered = new Covered()
  const act = () => {
    const left = new Set(rootMounts)
    unmountTop(rootfs, left, covered)
    for (const mount of left) covered.add(mount)
    // What covered them may have gone before they were told of.
    if (left.size > 0) unmountTop(rootfs, left, covered)
  }
  try {
    if (path === undefined) act()
    else inMountNamespace(path, act)
  } catch (cause) {
    throw new ToyboxError(`cannot unmount the root of container ${id}, ${rootfs}`, { cause })
  } finally {
    covered.close()
  }
}
