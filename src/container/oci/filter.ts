/** The filter of a container's system calls, compiled once: what joins it later is under the same. */
import { O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open, readAll, writeFile } from "../../../ffi/fs.ts"
import type { Spec } from "../../oci/runtime.ts"
import type { SeccompFilter } from "../../security/seccomp/filter.ts"
import { containerDirectory } from "./state.ts"

const filterFile = (root: string, id: string) => `${containerDirectory(root, id)}/seccomp`

const compile = async (seccomp: NonNullable<Spec["linux"]["seccomp"]>) =>
  (await import("../../security/seccomp/filter.ts")).compileFilter(seccomp)

/** Compiles the profile of a container that is being made, and keeps the filter: four bytes of flags, and the program. */
export async function makeFilter(
  root: string,
  id: string,
  { linux: { seccomp } }: Spec,
): Promise<SeccompFilter | null> {
  if (!seccomp) return null
  const filter = await compile(seccomp)
  const bytes = new Uint8Array(4 + filter.program.length)
  new DataView(bytes.buffer).setUint32(0, filter.flags, true)
  bytes.set(filter.program, 4)
  writeFile(filterFile(root, id), bytes)
  return filter
}

/** The filter of a container that is there. */
export async function readFilter(
  root: string,
  id: string,
  { linux: { seccomp } }: Spec,
): Promise<SeccompFilter | null> {
  if (!seccomp) return null
  let fd: number
  try {
    fd = open(filterFile(root, id), O_RDONLY)
  } catch (error) {
    // Made by an earlier version.
    if (!isErrno(error, "ENOENT")) throw error
    return compile(seccomp)
  }
  try {
    const bytes = readAll(fd)
    return { flags: new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true), program: bytes.subarray(4) }
  } finally {
    close(fd)
  }
}
