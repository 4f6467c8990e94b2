/** The filter of a container's system calls. */
import type { Process, Spec } from "../oci/runtime.ts"
import type { LinuxSeccomp } from "../oci/seccomp.ts"
import type { SeccompProgram } from "../plan/facts.ts"
import { builtInFilter, compileFilter, type SeccompFilter } from "../security/seccomp/filter.ts"
import { isUsualSeccomp } from "../spec/generate.ts"
import type { ContainerRequest } from "./request.ts"

/** Connects to the listenerPath of a request's profile. Undefined where it has none. */
export async function connectListener({ process }: ContainerRequest): Promise<number | undefined> {
  const { seccomp } = process
  const path = seccomp === null || typeof seccomp === "string" ? undefined : seccomp.profile.listenerPath
  return path === undefined ? undefined : (await import("./seccomp-listener.ts")).connectSupervisor(path)
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
  const filter = await compileFilter(seccomp)
  if (listenerFd === undefined) return { seccomp: filter }
  return (await import("./seccomp-listener.ts")).withListener(filter, spec, { id, pid, listenerFd })
}

/** The filter of a container with this process, for what joins it: to compile one takes longer than all else of an exec. */
export async function joinedFilter(profile: LinuxSeccomp, { capabilities }: Process): Promise<SeccompFilter> {
  const builtIn = builtInFilter(capabilities.bounding)
  return builtIn && isUsualSeccomp(profile, capabilities) ? builtIn : compileFilter(profile)
}
