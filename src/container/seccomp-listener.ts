/** The supervisor that some of a container's system calls are put to: SCMP_ACT_NOTIFY. */
import { call } from "../../ffi/call.ts"
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts"
import { close } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Spec } from "../oci/runtime.ts"
import type { SeccompProgram } from "../plan/facts.ts"
import { notifies } from "../security/seccomp/filter.ts"
import type { OciState } from "./oci/state.ts"

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

/** A container whose calls are put to a supervisor. */
interface Supervised {
  id: string
  pid: number
  bundle?: string
  listenerFd: number | undefined
}

/** The state of a container, as far as a supervisor is told of it. */
type ToldState = Pick<OciState, "ociVersion" | "id" | "status" | "pid" | "bundle" | "annotations">

/** What a supervisor is told beside the descriptor: runtime-spec "Container Process State". `pid` is that of the process. */
export function processState(spec: Spec, pid: number, container: ToldState): Uint8Array {
  const metadata = spec.linux.seccomp?.listenerMetadata
  const { ociVersion, id, status, bundle, annotations } = container
  const state = { ociVersion, id, status, pid: container.pid, bundle, annotations: annotations ?? {} }
  const told = { ociVersion, fds: ["seccompFd"], pid, ...(metadata === undefined ? {} : { metadata }), state }
  return new TextEncoder().encode(JSON.stringify(told))
}

/** Whether a profile puts calls to a supervisor. */
export const isSupervised = ({ linux }: Spec): boolean => notifies(linux.seccomp?.syscalls ?? [])

/** The filter of a container's first process with what its supervisor is told, where it has one. Throws ToyboxError where that cannot be. */
export function withListener(filter: SeccompProgram, spec: Spec, process: Supervised): { seccomp: SeccompProgram } {
  const { id, pid, bundle = spec.root.path, listenerFd } = process
  if (!isSupervised(spec) || listenerFd === undefined) return { seccomp: filter }
  if (spec.linux.namespaces.some(({ type, path }) => type === "pid" && path !== undefined)) {
    throw new ToyboxError("linux.seccomp: SCMP_ACT_NOTIFY does not go with a shared pid namespace", {
      hint: "leave out --pid container:ID",
    })
  }
  const { ociVersion, annotations = {} } = spec
  const message = processState(spec, pid, { ociVersion, id, status: "creating", pid, bundle, annotations })
  return { seccomp: { ...filter, listener: { socketFd: listenerFd, message } } }
}
