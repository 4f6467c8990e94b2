/** The filter of a container's system calls, and the supervisor that some of them are put to. */
import { call } from "../../ffi/call.ts"
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts"
import { close } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Spec } from "../oci/runtime.ts"
import type { SeccompProgram } from "../plan/facts.ts"
import { builtInFilter, compileFilter, notifies } from "../security/seccomp/filter.ts"
import type { ContainerRequest } from "./request.ts"

const MOST_PATH = 107

/** Connects to the listenerPath of a request's profile. Undefined where it has none. */
export function connectListener({ process }: ContainerRequest): number | undefined {
  const { seccomp } = process
  return connectSupervisor(seccomp === null || typeof seccomp === "string" ? undefined : seccomp.profile.listenerPath)
}

/** Connects to a profile's listenerPath: unix(7). Undefined where it has none. */
export function connectSupervisor(path: string | undefined): number | undefined {
  if (path === undefined) return undefined
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

/** What stage two loads. Throws ToyboxError where the profile is none that a container can start with. */
export async function seccompFacts(
  request: ContainerRequest,
  spec: Spec,
  { id, pid, compat, listenerFd }: { id: string; pid: number; compat: boolean; listenerFd: number | undefined },
): Promise<{ seccomp?: SeccompProgram }> {
  // The spec's own is read only where it has to be: resolving the default profile takes as long as loading it.
  const usual = request.process.seccomp === "default" && !compat
  const builtIn = usual ? builtInFilter(spec.process.capabilities.bounding) : null
  if (builtIn) return { seccomp: builtIn }
  const { seccomp } = spec.linux
  if (!seccomp) return {}
  return withListener(await compileFilter(seccomp), spec, { id, pid, listenerFd })
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
