import type { SyscallError } from "../../ffi/errno.ts"

interface Hint {
  readonly errno: string
  readonly file: RegExp
  readonly text: string
}

/** Errnos that mean something particular for a cgroup file; the first that fits. Made when they are needed, not at each start. */
const hints = (): readonly Hint[] => [
  { errno: "EINVAL", file: /^cpuset\.cpus$/, text: "a CPU of the list is not present" },
  { errno: "EINVAL", file: /^cpuset\.mems$/, text: "a memory node of the list is not present" },
  { errno: "ERANGE", file: /^cpuset\./, text: "a number of the list is beyond what the kernel was built for" },
  { errno: "EACCES", file: /^cpuset\./, text: "the parent cgroup has not all the CPUs or nodes of the list" },
  {
    errno: "EINVAL",
    file: /^cpu\.(cfs|max)/,
    text: "the parent cgroup has a smaller limit, or the value is out of range",
  },
  { errno: "EINVAL", file: /^cpu\.rt_/, text: "the parent cgroup has no such realtime budget to give" },
  {
    errno: "EINVAL",
    file: /^memory\.(memsw|limit)/,
    text: "memory and swap together must not be below the memory limit",
  },
  { errno: "EBUSY", file: /^memory\./, text: "more than that is in use" },
  { errno: "ENODEV", file: /^(io|blkio)\./, text: "no such disk: name the whole disk, not a partition" },
  { errno: "ENXIO", file: /^(io|blkio)\./, text: "no such disk: name the whole disk, not a partition" },
  { errno: "EOPNOTSUPP", file: /^(io|blkio)\./, text: "the disk's I/O scheduler cannot do that" },
  {
    errno: "EBUSY",
    file: /^cgroup\.subtree_control$/,
    text: "the cgroup has processes of its own (cgroup v2: no internal processes)",
  },
  {
    errno: "EPERM",
    file: /^devices\./,
    text: "a parent cgroup does not allow that device, or toybox is root of a user namespace",
  },
  { errno: "EACCES", file: /./, text: "this cgroup was not delegated to you" },
  { errno: "EPERM", file: /./, text: "this cgroup was not delegated to you" },
  { errno: "ENOSPC", file: /./, text: "the kernel makes no more cgroups, or its cpuset has no CPUs or memory nodes" },
  { errno: "EROFS", file: /./, text: "/sys/fs/cgroup is mounted read-only here" },
  { errno: "ENOENT", file: /./, text: "the kernel was built without it, or it is switched off" },
]

/** One line on what the errno of a write to a cgroup file usually means; undefined where it speaks for itself. */
export function hintFor(file: string, { errno }: SyscallError): string | undefined {
  return hints().find((hint) => hint.errno === errno && hint.file.test(file))?.text
}
