/** A full copy of a root, for where overlayfs is refused: every kind of file, owners, modes, times, xattrs, hard links. */
import { call, callResult, failure, SCRATCH_SIZE, scratch } from "../../ffi/call.ts"
import { struct } from "../../ffi/calls.ts"
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts"
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close, listDir, lstat, mkdir, readLink, type Stat, symlink } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"

function copyXattrs(from: string, to: string): void {
  const size = callResult("llistxattr", from, scratch.address, SCRATCH_SIZE)
  if (size <= 0) return // None, or a file system without them.
  const names = new TextDecoder().decode(scratch.bytes.subarray(0, size)).split("\0")
  for (const name of names) {
    // What an overlay keeps for itself must not speak to the next one.
    if (name === "" || name.startsWith("trusted.overlay.")) continue
    const length = callResult("lgetxattr", from, name, scratch.address, SCRATCH_SIZE)
    if (length < 0) continue
    const value = scratch.bytes.slice(0, length)
    callResult("lsetxattr", to, name, value, length, 0)
  }
}

function copyContent(from: string, to: string): void {
  const source = call("openat", AT_FDCWD, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0)
  try {
    const target = call("openat", AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    try {
      for (;;) {
        const count = callResult("sendfile", target, source, 0, 0x7ffff000)
        if (count < 0) throw failure("sendfile", count, from, to)
        if (count === 0) return
      }
    } finally {
      close(target)
    }
  } finally {
    close(source)
  }
}

const makedev = ({ rdevMajor: major, rdevMinor: minor }: Stat) =>
  (minor & 0xff) + (major & 0xfff) * 256 + Math.floor(minor / 256) * 2 ** 20

function setMetadata(from: string, to: string, stat: Stat): void {
  call("fchownat", AT_FDCWD, to, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW)
  const isLink = (stat.mode & S_IFMT) === S_IFLNK
  // After the owner: chown(2) clears the setuid bit and file capabilities.
  if (!isLink) call("fchmodat", AT_FDCWD, to, stat.mode & 0o7777, 0)
  copyXattrs(from, to)
  const seconds = Math.floor(stat.mtime / 1000)
  const time = [[8, seconds] as const, [8, (stat.mtime - seconds * 1000) * 1e6] as const]
  call("utimensat", AT_FDCWD, to, struct(...time, ...time), AT_SYMLINK_NOFOLLOW)
}

function copyEntry(from: string, to: string, seen: Map<string, string>): void {
  const stat = lstat(from)
  if (!stat) return // Gone since it was listed.
  const kind = stat.mode & S_IFMT
  if (kind !== S_IFDIR && stat.nlink > 1) {
    const key = `${stat.dev}/${stat.ino}`
    const first = seen.get(key)
    if (first !== undefined) {
      call("linkat", AT_FDCWD, first, AT_FDCWD, to, 0)
      return
    }
    seen.set(key, to)
  }
  if (kind === S_IFDIR) {
    mkdir(to, 0o700)
    for (const name of listDir(from)) copyEntry(`${from}/${name}`, `${to}/${name}`, seen)
  } else if (kind === S_IFREG) copyContent(from, to)
  else if (kind === S_IFLNK) symlink(readLink(from) ?? "", to)
  else call("mknodat", AT_FDCWD, to, stat.mode, kind === S_IFBLK || kind === S_IFCHR ? makedev(stat) : 0)
  setMetadata(from, to, stat)
}

/** Copies the tree `from` to `to`, which may exist and must be empty. Throws ToyboxError. */
export function copyTree(from: string, to: string): void {
  try {
    copyEntry(from, to, new Map())
  } catch (error) {
    throw new ToyboxError(`cannot copy ${from}`, { cause: error })
  }
}
