/** The supervisor that some of a container's system calls are put to: SCMP_ACT_NOTIFY. */
import { call } from "../../ffi/call.ts"
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts"
import { close } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Spec } from "../oci/runtime.ts"
import type { SeccompProgram } from "../plan/facts.ts"
import { notifies } from "../security/seccomp/filter.ts"

const MOST_PATH = 107

/** Connects to a profile's listenerPath: unix(7). Throws ToyboxError. */
export function connectSupervisor(path: string): number {
  const bytes = new TextEncoder().encode(path)
  if (!path.startsWith("/") || bytes.length > MOST_PATH) {
    throw new ToyboxError(
      `linux.seccomp.listenerPath: "${path}" must be an absolute path of ${MOST_PATH} bytes at most`,
    )
  }
  const address = new Uint8Array(2 + MOST_PATH + 1)
  address[0] = AF_UNIX
  address.set(bytes, 2)
  const fd = call("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
  try {
    call("connect", fd, address, address.length)
  } catch (cause) {
    close(fd)
    throw new ToyboxError(`linux.seccomp.listenerPath: cannot reach the supervisor at ${path}`, {
      cause,
      hint: "start it before the container",
    })
  }
  return fd
}

/** The process whose calls are put to a supervisor. */
interface Supervised {
  id: string
  /** 0 where it is not known beforehand. */
  pid: number
  bundle?: string
  listenerFd: number | undefined
}

/** What a supervisor is told beside the descriptor: runtime-spec "Container Process State". */
function processState(spec: Spec, { id, pid, bundle = spec.root.path }: Supervised): Uint8Array {
  const { seccomp } = spec.linux
  const { ociVersion } = spec
  const state = { ociVersion, id, status: "creating", pid, bundle, annotations: spec.annotations ?? {} }
  const metadata = seccomp?.listenerMetadata
  const told = { ociVersion, fds: ["seccompFd"], pid, ...(metadata === undefined ? {} : { metadata }), state }
  return new TextEncoder().encode(JSON.stringify(told))
}

/** A filter with what its supervisor is told, where it has one. Throws ToyboxError where that cannot be. */
export function withListener(filter: SeccompProgram, spec: Spec, process: Supervised): { seccomp: SeccompProgram } {
  const { listenerFd } = process
  if (!notifies(spec.linux.seccomp?.syscalls ?? []) || listenerFd === undefined) return { seccomp: filter }
  if (spec.linux.namespaces.some(({ type, path }) => type === "pid" && path !== undefined)) {
    throw new ToyboxError("linux.seccomp: SCMP_ACT_NOTIFY does not go with a shared pid namespace", {
      hint: "leave out --pid container:ID",
    })
  }
  return { seccomp: { ...filter, listener: { socketFd: listenerFd, message: processState(spec, process) } } }
}
