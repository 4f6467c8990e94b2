/** What a container in a user namespace cannot do for itself: done by the parent while the child waits. */
import { call } from "../../../ffi/call.ts"
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from "../../../ffi/constants/fcntl.ts"
import { RLIMIT_NAMES } from "../../../ffi/constants/resource.ts"
import { close } from "../../../ffi/fs.ts"
import { rlimit } from "../../../ffi/structs.ts"
import { ToyboxError } from "../../errors.ts"
import type { IDMapping, Spec } from "../../oci/runtime.ts"
import { isNew } from "../../plan/namespaces.ts"

/** In one write(2): a map can be written once only. */
function writeProc(pid: number, file: string, text: string): void {
  const fd = call("openat", AT_FDCWD, `/proc/${pid}/${file}`, O_WRONLY | O_CLOEXEC, 0)
  try {
    const bytes = new TextEncoder().encode(text)
    call("write", fd, bytes, bytes.length)
  } finally {
    close(fd)
  }
}

function attempt(field: string, what: () => void, hint?: string): void {
  try {
    what()
  } catch (cause) {
    throw new ToyboxError(`config.json: ${field}: the kernel refuses it`, { cause, hint })
  }
}

const mapText = (mappings: readonly IDMapping[]) =>
  mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("")

/** Writes the maps of a new user namespace, of which `pid` is a member: user_namespaces(7). Throws ToyboxError that names `field`. */
export function writeIdMaps(
  pid: number,
  { uidMappings = [], gidMappings = [] }: { uidMappings?: IDMapping[]; gidMappings?: IDMapping[] },
  field = "linux",
): void {
  const hint = "ranges must not overlap, and must be ids that toybox itself has"
  attempt(`${field}.uidMappings`, () => writeProc(pid, "uid_map", mapText(uidMappings)), hint)
  // Whoever has no right to a group may not leave those that deny it something: CVE-2014-8989.
  if (process.geteuid?.() !== 0) attempt(`${field}.gidMappings`, () => writeProc(pid, "setgroups", "deny"))
  attempt(`${field}.gidMappings`, () => writeProc(pid, "gid_map", mapText(gidMappings)), hint)
}

const limit = (value: number) => (Number.isFinite(value) ? value : 0xffffffffffffffffn)

/** Maps and score of a process that is in its user namespace. Throws ToyboxError that names the field. */
export function prepareOutside(pid: number, spec: Spec): void {
  if (isNew(spec, "user")) writeIdMaps(pid, spec.linux)
  const { oomScoreAdj } = spec.process
  if (oomScoreAdj !== undefined) {
    attempt("process.oomScoreAdj", () => writeProc(pid, "oom_score_adj", String(oomScoreAdj)))
  }
}

/** The limits of a process that has nothing more to do for toybox: prlimit(2). Throws ToyboxError that names the field. */
export function limitOutside(pid: number, { process: { rlimits } }: Spec): void {
  for (const { type, soft, hard } of rlimits) {
    const struct = rlimit(limit(soft), limit(hard))
    const hint = "a hard limit can be raised with CAP_SYS_RESOURCE only"
    attempt(`process.rlimits: ${type}`, () => call("prlimit64", pid, RLIMIT_NAMES.indexOf(type), struct, null), hint)
  }
}
