/**
 * File systems whose files the kernel makes up as they are read, as /proc: they come and go, and how long they are nobody knows
 * before they are read.
 */
import { callResult, failure, scratch } from "../../../ffi/call.ts"
import { O_CLOEXEC, O_NOFOLLOW, O_PATH } from "../../../ffi/constants/fcntl.ts"
import {
  BPF_FS_MAGIC,
  CGROUP_SUPER_MAGIC,
  CGROUP2_SUPER_MAGIC,
  DEBUGFS_MAGIC,
  EFIVARFS_MAGIC,
  PROC_SUPER_MAGIC,
  PSTOREFS_MAGIC,
  SECURITYFS_MAGIC,
  SYSFS_MAGIC,
  TRACEFS_MAGIC,
} from "../../../ffi/constants/magic.ts"
import { close } from "../../../ffi/fs.ts"
import { addressOf } from "../../../ffi/prepared.ts"
import { ToyboxError } from "../../errors.ts"
import { shownName, toName } from "./binary.ts"
import type { ExactStat } from "./exact-stat.ts"

const MAGICS: ReadonlySet<number> = new Set([
  PROC_SUPER_MAGIC,
  SYSFS_MAGIC,
  CGROUP_SUPER_MAGIC,
  CGROUP2_SUPER_MAGIC,
  DEBUGFS_MAGIC,
  TRACEFS_MAGIC,
  SECURITYFS_MAGIC,
  BPF_FS_MAGIC,
  PSTOREFS_MAGIC,
  EFIVARFS_MAGIC,
])

const CHUNK = 64 * 1024
/** A file that says more has no end: /proc/kcore. */
const LONGEST = 64 * 1024 * 1024
const EINTR = -4
const EAGAIN = -11

/** Tells of something in an open directory whether it is such a file; each file system is asked once. */
export function createGeneratedTest(): (dirFd: number, name: string, stat: ExactStat) => boolean {
  const known = new Map<string, boolean>()
  return (dirFd, name, { dev }) => {
    const before = known.get(dev)
    if (before !== undefined) return before
    const fd = name === "" ? dirFd : callResult("openat", dirFd, toName(name), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
    if (fd < 0) return false
    const isGenerated = callResult("fstatfs", fd, scratch.address) === 0 && MAGICS.has(scratch.word(0))
    if (name !== "") close(fd)
    known.set(dev, isGenerated)
    return isGenerated
  }
}

/** All that such a file, opened without blocking, says now. Throws SyscallError and ToyboxError. */
export function readGenerated(fd: number, path: string): Uint8Array {
  const parts: Uint8Array[] = []
  let size = 0
  for (;;) {
    const bytes = Buffer.allocUnsafeSlow(CHUNK)
    const count = callResult("read", fd, addressOf(bytes), CHUNK)
    if (count === EINTR) continue
    // One that tells of what is to come (trace_pipe) has no more now.
    if (count === 0 || count === EAGAIN) return Buffer.concat(parts)
    if (count < 0) throw failure("read", count, shownName(path))
    size += count
    if (size > LONGEST) throw new ToyboxError(`${shownName(path)} has no end: the kernel makes it up`)
    parts.push(bytes.subarray(0, count))
  }
}
