import { call } from "../../../ffi/call.ts"
import { type Struct, struct } from "../../../ffi/calls.ts"
import { O_DIRECTORY, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"

// linux/bpf.h
const BPF_PROG_LOAD = 5
const BPF_PROG_ATTACH = 8
const BPF_PROG_TYPE_CGROUP_DEVICE = 15
const BPF_CGROUP_DEVICE = 6
const BPF_F_ALLOW_MULTI = 1 << 1
// The whole of union bpf_attr as of Linux 4.15, which brought the program type; newer kernels take the rest as zero.
const ATTRIBUTES_SIZE = 48
const unused = (bytes: number): Struct["fields"] => Array.from({ length: bytes / 8 }, () => [8, 0] as const)

const load = (program: Uint8Array): number => {
  const attributes = struct(
    [4, BPF_PROG_TYPE_CGROUP_DEVICE],
    [4, program.length / 8],
    [8, program],
    [8, "MIT"],
    ...unused(24),
  )
  return call("bpf", BPF_PROG_LOAD, attributes, ATTRIBUTES_SIZE)
}

function attach(programFd: number, dir: string): void {
  const dirFd = open(dir, O_RDONLY | O_DIRECTORY)
  // Not alone: a parent's program (systemd's, an outer engine's) must go on having its say.
  const attributes = struct([4, dirFd], [4, programFd], [4, BPF_CGROUP_DEVICE], [4, BPF_F_ALLOW_MULTI], ...unused(32))
  try {
    call("bpf", BPF_PROG_ATTACH, attributes, ATTRIBUTES_SIZE)
  } finally {
    close(dirFd)
  }
}

function hint(error: unknown): string | undefined {
  if (isErrno(error, "EPERM", "EACCES"))
    return "it needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, outside of any user namespace"
  if (isErrno(error, "ENOSYS", "EINVAL")) return "the kernel needs CONFIG_CGROUP_BPF (Linux 4.15)"
  if (isErrno(error, "E2BIG")) return "list fewer device rules"
  return undefined
}

/**
 * Loads a BPF_PROG_TYPE_CGROUP_DEVICE program and attaches it to a cgroup v2 directory, where it stays until the directory is
 * removed: bpf(2). Throws ToyboxError with a hint; a container without its device rules must not start.
 */
export function attachDeviceProgram(program: Uint8Array, dir: string): void {
  try {
    const programFd = load(program)
    try {
      attach(programFd, dir)
    } finally {
      close(programFd)
    }
  } catch (cause) {
    throw new ToyboxError(`limit device access in ${dir}`, { cause, hint: hint(cause) })
  }
}
